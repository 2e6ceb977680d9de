import Testing

@testable import PoolBus

@Suite("How long adaptive waiting spins")
struct AdaptiveSpinTests {
  /// Waits, spun or not, until one is spun.
  private func abstentions(_ spin: AdaptiveSpin) -> Int {
    for count in 0..<1_000 where spin.budget() > AdaptiveSpin.shortest { return count }
    return 1_000
  }

  /// Learns that messages come so long after a wait began.
  private func learn(_ duration: UInt64, _ spin: AdaptiveSpin) {
    for _ in 0..<50 { spin.came(after: duration) }
  }

  @Test("It spins about twice as long as messages lately took")
  func learns() {
    let spin = AdaptiveSpin()
    learn(100_000, spin)
    #expect((190_000...210_000).contains(spin.budget()))
  }

  @Test("It hardly spins for messages that take too long, but tries now and then")
  func explores() {
    let spin = AdaptiveSpin()
    learn(AdaptiveSpin.longest + 1, spin)
    let budgets = (0..<2 * AdaptiveSpin.exploration).map { _ in spin.budget() }
    #expect(budgets.count { $0 == AdaptiveSpin.longest } == 2)
    #expect(budgets.count { $0 <= 2 * AdaptiveSpin.shortest } == budgets.count - 2)
  }

  @Test("Preempted once, it does not spin the next time")
  func abstainsOnce() {
    let spin = AdaptiveSpin()
    spin.wasPreempted()
    #expect(abstentions(spin) == 1)
  }

  @Test("Preempted again and again, it abstains ever longer, up to a bound")
  func abstainsLonger() {
    let spin = AdaptiveSpin()
    let counts = (0..<8).map { _ in
      spin.wasPreempted()
      return abstentions(spin)
    }
    #expect(counts == [1, 2, 4, 8, 16, 32, 64, 64])
  }

  @Test("Spinning that pays makes it abstain for shorter again")
  func recovers() {
    let spin = AdaptiveSpin()
    for _ in 0..<3 { spin.wasPreempted() }
    for _ in 0..<3 { spin.paid() }
    spin.wasPreempted()
    #expect(abstentions(spin) == 2)
  }
}
