import Synchronization

/// How long spinning is worth while: about twice what it would have had to last lately, and hardly at all if it would
/// have lasted too long, or if somebody else needs the core. Now and then it spins long all the same: two that answer each
/// other and both block see only each other's wake-ups, and would never learn that spinning pays.
///
/// Times are nanoseconds.
final class AdaptiveSpin: Sendable {
  /// As long as a few wake-ups with ZeroMQ take, or as a payload of some MiB is written and read: a longer wait is better
  /// blocked.
  static let longest: UInt64 = 500_000
  /// Spun even by who has learnt that it does not pay.
  static let shortest: UInt64 = 1_000
  /// Who spins looks at the clock far more often than this, unless its core was taken away.
  static let preempted: UInt64 = 50_000

  /// Of so many waits one is spun as long as spinning may ever pay.
  static let exploration: UInt64 = 32

  private let learnt = Atomic<UInt64>(20_000)
  private let waits = Atomic<UInt64>(0)

  /// How long to spin now, as a wait begins.
  func budget() -> UInt64 {
    let isExploring = waits.add(1, ordering: .relaxed).newValue.isMultiple(of: Self.exploration)
    return isExploring ? Self.longest : learnt.load(ordering: .relaxed)
  }

  /// A message came so long after the wait began, whether it was seen by spinning or by being woken.
  func came(after duration: UInt64) {
    let wanted = duration > Self.longest ? Self.shortest : min(max(duration &* 2, 20_000), Self.longest)
    learnt.store((learnt.load(ordering: .relaxed) &+ wanted) / 2, ordering: .relaxed)
  }

  /// The core was taken away while it spun: others need it more.
  func wasPreempted() { learnt.store(Self.shortest, ordering: .relaxed) }
}
