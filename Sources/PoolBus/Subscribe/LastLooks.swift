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
  /// Who reads such messages lets their writer get ahead for as long, if nobody else is to run, and looks only then, twice:
  /// to take from the writer's cache what was written just now slows both by a third.
  static let large = 512 << 10
  /// Somebody else ran meanwhile.
  static let handedOver: UInt64 = 2_000
  /// Others use all the time that they are given.
  static let tooLong: UInt64 = 1_000_000
  /// How many sleeps then come without such looks; twice as many each time, if it is so again at once.
  static let shortestAbstention = 8
  static let longestAbstention = 64

  private let abstains = Atomic<Int>(0)
  private let nextAbstention = Atomic<Int>(shortestAbstention)
  private let givesHeadStart = Atomic<Bool>(false)

  /// How often to let others have the core now, as a sleep is about to begin.
  func budget() -> Int {
    let left = abstains.load(ordering: .relaxed)
    guard left > 0 else { return givesHeadStart.load(ordering: .relaxed) ? 2 * Self.most : Self.most }
    abstains.store(left - 1, ordering: .relaxed)
    return 0
  }

  /// Whether to look for a message now, having got the core back after `duration`.
  ///
  /// - Parameter remaining: how often it will let others have the core before it sleeps.
  func isDue(after duration: UInt64, remaining: Int) -> Bool {
    let abstention = nextAbstention.load(ordering: .relaxed)
    if duration > Self.tooLong {
      abstains.store(abstention, ordering: .relaxed)
      nextAbstention.store(min(2 * abstention, Self.longestAbstention), ordering: .relaxed)
    } else if abstention > Self.shortestAbstention {
      nextAbstention.store(Self.shortestAbstention, ordering: .relaxed)
    }
    return remaining.isMultiple(of: Self.most) || duration > Self.handedOver || !givesHeadStart.load(ordering: .relaxed)
  }

  /// A message of so many bytes was taken.
  func took(byteCount: Int) { givesHeadStart.store(byteCount >= Self.large, ordering: .relaxed) }
}
