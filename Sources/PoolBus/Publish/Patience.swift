/// Whether a publisher whose readers are behind waits a moment for them rather than lease one more segment.
///
/// A lease is handed to each reader, and spreads the stream over more memory than the caches hold: with 12 MiB in turn in
/// place of 8, messages of 1 MiB take half as long again, on a processor with 32 MiB for all who share it. So readers that
/// are about to be done are worth waiting for. Those that are not, are waited for once: after that, not again until they
/// have caught up with a segment.
struct Patience {
  /// Nanoseconds that are waited at the most: about as long as a lease takes.
  static let longest: UInt64 = 100_000
  /// As ``longest``, where segments are as large as they get: such a lease costs each reader a mapping of some MiB, and
  /// where there are more readers than cores, each comes to its turn only after others. Nor is who reads a segment in about
  /// the time in which it was written done with it before: many small messages are milliseconds. And fresh memory has to be
  /// found and cleared: of segments of a GB, for messages that are not written whole, half a second for each.
  ///
  /// - Parameters:
  ///   - life: how long the last segment took, in nanoseconds.
  ///   - capacity: bytes of a segment.
  static func longestForLarge(readers: Int, life: UInt64, capacity: Int) -> UInt64 {
    let clearing = UInt64(capacity / clearedInNanosecond)
    return max(1_000_000 * UInt64(max(readers, 1)), 2 * min(max(life, clearing), longestLife))
  }
  /// A segment that took longer was not written as fast as it could be; and readers who take so long may have stopped.
  static let longestLife: UInt64 = 5_000_000
  /// Bytes; no host is faster.
  static let clearedInNanosecond = 8
  /// Who has not caught up after so many nanoseconds is taken to have stopped.
  static let absence: UInt64 = 20_000_000

  /// When readers were waited for, and have not caught up since.
  private var since: UInt64?

  /// - Parameter now: nanoseconds of a monotonic clock.
  mutating func allowsWaiting(upTo longest: UInt64, now: UInt64) -> Bool {
    let start = since ?? now
    since = start
    return now &- start < longest
  }

  /// Whether nothing is expected of the readers any more.
  func isOver(at now: UInt64) -> Bool { since.map { now &- $0 >= Self.absence } ?? false }

  /// Readers have caught up.
  mutating func isRewarded() { since = nil }
}
