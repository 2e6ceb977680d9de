import Synchronization

/// How often who is about to sleep first lets others have the core, and looks once more: what it waits for often comes
/// meanwhile, from those very others, and a sleep with its wake-up costs ten times as much.
///
/// Not where others keep the core for long: who sleeps gets it back sooner, as soon as it is woken.
///
/// Durations are nanoseconds.
final class LastLooks: Sendable {
  /// What may be spent before a sleep: 16 looks where nobody wants the core, which are about 5 microseconds, or 64 where
  /// somebody does, as to wait then costs no more than the change from one to the other.
  static let most = 64
  static let costOfIdleLook = 4
  static let costOfSharedLook = 1
  /// Somebody else used the core meanwhile, and not only for a wake-up's threads.
  static let handedOver: UInt64 = 6_000
  /// Others use all the time that they are given.
  static let tooLong: UInt64 = 10_000_000

  /// Somebody else used the core meanwhile, were it but for a moment.
  static let switched: UInt64 = 1_000
  /// After so many moments of others it sleeps once, as who is woken is put on an idle core if there is one: two that never
  /// sleep but give each other the core, the kernel leaves on one for seconds (a hop of 2.5 us for 0.8). Where others use the
  /// core for longer, there is so much to read that one core's cache is the better place.
  static let mostSwitches = 1024

  private let abstention = Abstention(shortest: 8, longest: 64)
  private let switches = Atomic<Int>(0)
  private let handsOver = Atomic<Bool>(false)

  /// What to spend now, as a sleep is about to begin.
  func budget() -> Int {
    if switches.load(ordering: .relaxed) >= Self.mostSwitches {
      switches.store(0, ordering: .relaxed)
      return 0
    }
    return abstention.isDue() ? 0 : Self.most
  }

  /// Whether others wanted the core when it was last given away: then that is better than to spin.
  var sharesCore: Bool { handsOver.load(ordering: .relaxed) }

  /// The core was given to whoever wanted it, and came back after `duration`.
  ///
  /// - Returns: what that cost.
  func cameBack(after duration: UInt64) -> Int {
    if duration > Self.tooLong { abstention.begin() } else { abstention.reset() }
    let isShared = duration > Self.handedOver
    if duration > Self.switched, !isShared { switches.add(1, ordering: .relaxed) }
    handsOver.store(isShared, ordering: .relaxed)
    return isShared ? Self.costOfSharedLook : Self.costOfIdleLook
  }
}
