import Synchronization

/// How long spinning is worth while: about twice what it would have had to last lately, and hardly at all if it would
/// have lasted too long, or if somebody else needs the core. Now and then it spins long all the same: two that answer each
/// other and both block see only each other's wake-ups, and would never learn that spinning pays.
///
/// Times are nanoseconds.
final class AdaptiveSpin: Sendable {
  /// As long as a payload of some MiB is written and read: a longer wait is better blocked.
  static let longest: UInt64 = 500_000
  /// Spun even by who has learnt that it does not pay.
  static let shortest: UInt64 = 1_000
  /// Who spins looks at the clock far more often than this, unless its core was taken away.
  static let preempted: UInt64 = 50_000

  /// Who is preempted again and again does not spin for so many waits.
  static let longestAbstention: UInt64 = 64

  /// Of so many waits one is spun as long as spinning may ever pay.
  static let exploration: UInt64 = 32

  private let learnt = Atomic<UInt64>(20_000)
  private let waits = Atomic<UInt64>(0)
  /// Waits that are not spun after a preemption: the more, the fewer were spun with success since the last one.
  private let abstention = Atomic<UInt64>(0)
  /// How many of them are left.
  private let abstains = Atomic<UInt64>(0)

  /// How long to spin now, as a wait begins.
  func budget() -> UInt64 {
    let left = abstains.load(ordering: .relaxed)
    guard left == 0 else {
      abstains.store(left - 1, ordering: .relaxed)
      return Self.shortest
    }
    let isExploring = waits.add(1, ordering: .relaxed).newValue.isMultiple(of: Self.exploration)
    return isExploring ? Self.longest : learnt.load(ordering: .relaxed)
  }

  /// A message came so long after the wait began, whether it was seen by spinning or by being woken.
  func came(after duration: UInt64) {
    let wanted = duration > Self.longest ? Self.shortest : min(max(duration &* 2, 20_000), Self.longest)
    learnt.store((learnt.load(ordering: .relaxed) &+ wanted) / 2, ordering: .relaxed)
  }

  /// A message came while it spun.
  func paid() { abstention.store(max(abstention.load(ordering: .relaxed), 1) - 1, ordering: .relaxed) }

  /// The core was taken away while it spun: others need it more.
  func wasPreempted() {
    let next = min(max(2 * abstention.load(ordering: .relaxed), 1), Self.longestAbstention)
    abstention.store(next, ordering: .relaxed)
    abstains.store(next, ordering: .relaxed)
  }
}
