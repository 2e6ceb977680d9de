import Testing

@testable import PoolBus

@Suite("Patience with readers that are behind")
struct PatienceTests {
  private static let start: UInt64 = 1_000_000_000

  @Test("A publisher waits as long as a lease would take, and no longer")
  func isBounded() {
    var patience = Patience()
    #expect(patience.allowsWaiting(now: Self.start))
    #expect(patience.allowsWaiting(now: Self.start + Patience.longest - 1))
    #expect(!patience.allowsWaiting(now: Self.start + Patience.longest))
  }

  @Test("A reader that did not come in time is not waited for again, however long ago that was")
  func isSpentOnce() {
    var patience = Patience()
    _ = patience.allowsWaiting(now: Self.start)
    _ = patience.allowsWaiting(now: Self.start + Patience.longest)
    #expect(!patience.allowsWaiting(now: Self.start + 10 * Patience.longest))
  }

  @Test("Readers that catch up are waited for again, from then on")
  func isRewarded() {
    var patience = Patience()
    _ = patience.allowsWaiting(now: Self.start)
    _ = patience.allowsWaiting(now: Self.start + Patience.longest)
    patience.isRewarded()
    let later = Self.start + 10 * Patience.longest
    #expect(patience.allowsWaiting(now: later))
    #expect(patience.allowsWaiting(now: later + Patience.longest - 1))
    #expect(!patience.allowsWaiting(now: later + Patience.longest))
  }
}
