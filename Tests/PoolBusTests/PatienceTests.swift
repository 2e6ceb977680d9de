import Testing

@testable import PoolBus

@Suite("Patience with readers that are behind")
struct PatienceTests {
  private static let start: UInt64 = 1_000_000_000

  @Test("A publisher waits as long as a lease would take, and no longer")
  func isBounded() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest - 1, Patience.longest]) == [true, true, false])
  }

  @Test("A reader that did not come in time is not waited for again, however long ago that was")
  func isSpentOnce() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest, 10 * Patience.longest]) == [true, false, false])
  }

  @Test("Readers that catch up are waited for again, from then on")
  func isRewarded() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest]) == [true, false])
    patience.isRewarded()
    #expect(answers(of: &patience, at: [10, 11].map { $0 * Patience.longest }) == [true, false])
  }

  private func answers(of patience: inout Patience, at times: [UInt64]) -> [Bool] {
    times.map { patience.allowsWaiting(now: Self.start + $0) }
  }
}
