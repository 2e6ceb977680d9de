import Testing

@testable import PoolBus

@Suite("Leaving out what was in vain")
struct AbstentionTests {
  private let abstention = Abstention(shortest: 2, longest: 8)

  private func count() -> Int {
    var count = 0
    while abstention.isDue() { count += 1 }
    return count
  }

  @Test("Nothing is left out at first")
  func isNotDueAtFirst() { #expect(count() == 0) }

  @Test("It lasts twice as long each time, up to a bound")
  func doubles() {
    let counts = (1...4).map { _ in
      abstention.begin()
      return count()
    }
    #expect(counts == [2, 4, 8, 8])
  }

  @Test("It is short again after what paid")
  func isReset() {
    for _ in 1...3 { abstention.begin() }
    #expect(count() == 8)
    abstention.reset()
    abstention.begin()
    #expect(count() == 2)
  }
}
