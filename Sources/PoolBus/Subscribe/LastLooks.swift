import Synchronization

/// How often who is about to sleep first lets others have the core, and looks once more: what it waits for often comes
/// meanwhile, from those very others, and a sleep with its wake-up costs ten times as much.
///
/// Not where others keep the core for long: who sleeps gets it back sooner, as soon as it is woken.
///
/// Durations are nanoseconds.
final class LastLooks: Sendable {
  /// Together about 5 microseconds where nobody wants the core.
  static let most = 16
  /// Somebody else used the core meanwhile, and not only for a wake-up's threads.
  static let handedOver: UInt64 = 6_000
  /// Others use all the time that they are given.
  static let tooLong: UInt64 = 1_000_000

  private let abstention = Abstention(shortest: 8, longest: 64)
  private let handsOver = Atomic<Bool>(false)

  /// How often to let others have the core now, as a sleep is about to begin.
  func budget() -> Int { abstention.isDue() ? 0 : Self.most }

  /// Whether others wanted the core when it was last given away: then that is better than to spin.
  var sharesCore: Bool { handsOver.load(ordering: .relaxed) }

  /// The core was given to whoever wanted it, and came back after `duration`.
  func cameBack(after duration: UInt64) {
    if duration > Self.tooLong { abstention.begin() } else { abstention.reset() }
    handsOver.store(duration > Self.handedOver, ordering: .relaxed)
  }
}
