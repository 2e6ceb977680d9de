import Synchronization

/// For how many times something is left out that was tried in vain: twice as many each time that it is so again at once,
/// up to a bound.
final class Abstention: Sendable {
  private let shortest: Int
  private let longest: Int
  private let remaining = Atomic<Int>(0)
  private let next: Atomic<Int>

  init(shortest: Int, longest: Int) {
    self.shortest = shortest
    self.longest = longest
    next = Atomic(shortest)
  }

  /// Whether to leave it out now; counts as one of the times.
  func isDue() -> Bool {
    let left = remaining.load(ordering: .relaxed)
    guard left > 0 else { return false }
    remaining.store(left - 1, ordering: .relaxed)
    return true
  }

  /// It was in vain.
  func begin() {
    let count = next.load(ordering: .relaxed)
    remaining.store(count, ordering: .relaxed)
    next.store(min(2 * count, longest), ordering: .relaxed)
  }

  /// It paid.
  func reset() {
    // Not written if it is so already, as nearly always.
    if next.load(ordering: .relaxed) > shortest { next.store(shortest, ordering: .relaxed) }
  }
}
