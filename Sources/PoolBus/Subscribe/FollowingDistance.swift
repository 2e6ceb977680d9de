import Synchronization

/// How long a reader that has caught up keeps a large message before it reads it: until the next one is there, too, so
/// that it follows its writer at a message's distance.
///
/// What was written just now lies in the cache of the writer's core. To read it there takes it from there line by line,
/// while the writer writes the next: a reader that is a little faster than its writer slows both by a third. At a
/// distance it finds it in the cache that the cores share.
///
/// Only where messages follow each other at once, so that hardly more time passes than until the next one comes anyway;
/// a message that comes alone waits in vain, and those after it do not wait, for the longer the more often that is so.
final class FollowingDistance: Sendable {
  /// Bytes. What is smaller is read before its writer has got far.
  static let smallest = 512 << 10
  /// What is larger does not stay in a core's own cache until it is read.
  static let largest = 8 << 20
  /// Nanoseconds from one message to the next, at the most.
  static let longestInterval: UInt64 = 64_000

  private let lastPublished = Atomic<UInt64>(0)
  private let abstention = Abstention(shortest: 8, longest: 1_024)

  /// How long to keep a message that was just taken, at the most; nanoseconds.
  ///
  /// - Parameter publishTime: nanoseconds since 1970.
  func longestWait(byteCount: Int, publishTime: UInt64) -> UInt64 {
    guard byteCount >= Self.smallest, byteCount <= Self.largest else { return 0 }
    let interval = publishTime &- lastPublished.load(ordering: .relaxed)
    lastPublished.store(publishTime, ordering: .relaxed)
    return interval <= Self.longestInterval && !abstention.isDue() ? 2 * interval : 0
  }

  /// The next message came in time, or it did not.
  func waited(inVain: Bool) { if inVain { abstention.begin() } else { abstention.reset() } }
}
