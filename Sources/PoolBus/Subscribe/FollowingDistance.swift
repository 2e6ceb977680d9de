import Synchronization

/// How long a reader that has caught up keeps a large message before it reads it: until so much more is there that it
/// follows its writer at a distance.
///
/// What was written just now lies in the cache of the writer's core. To read it there takes it from there line by line,
/// while the writer writes the next: a reader that is a little faster than its writer slows both, by a third in the mean,
/// and at times for good to a tenth, since a writer that is slowed is caught up with again at once. That subscribers can't
/// write makes it worse: with the very same pages writable, both are faster by up to a third. At a distance a reader finds what
/// was written in the cache that the cores share.
///
/// Only where messages follow each other as fast as memory is written, so that hardly more time passes than until the
/// next ones come anyway; a message that comes alone waits in vain, and those after it do not wait, for the longer the more
/// often that is so.
///
/// Times are nanoseconds, sizes bytes.
final class FollowingDistance: Sendable {
  /// Half as much again as a core's own cache holds, in whole messages; one message, if that is more.
  static let byteCount = 3 << 19
  /// What is smaller costs more for each message than for each line of it, so that its reader does not catch up.
  static let smallest = 64 << 10
  /// What is larger does not stay in a core's own cache until it is read.
  static let largest = 8 << 20
  /// From one message to the next, at the most.
  static let longestInterval: UInt64 = 64_000
  /// A flow of fewer bytes in a nanosecond is held back by something else.
  static let slowest: UInt64 = 3

  struct Wait: Equatable {
    /// For the next message, at the most.
    let forNext: UInt64
    /// When that has come: for the rest of the distance.
    let further: UInt64
  }

  private let lastPublished = Atomic<UInt64>(0)
  private let abstention = Abstention(shortest: 8, longest: 65_536)

  /// How long to keep a message that was just taken; nil if not at all.
  ///
  /// - Parameter publishTime: since 1970.
  func wait(byteCount: Int, publishTime: UInt64) -> Wait? {
    guard byteCount >= Self.smallest, byteCount <= Self.largest else { return nil }
    let interval = publishTime &- lastPublished.load(ordering: .relaxed)
    lastPublished.store(publishTime, ordering: .relaxed)
    guard interval > 0, interval <= min(UInt64(byteCount) / Self.slowest, Self.longestInterval),
      !abstention.isDue()
    else { return nil }
    let further = UInt64(max(Self.byteCount / byteCount - 1, 0)) * interval
    return Wait(forNext: 2 * interval, further: min(further, Self.longestInterval))
  }

  /// The next message came in time, or it did not.
  func waited(inVain: Bool) { if inVain { abstention.begin() } else { abstention.reset() } }
}
