/// Whether a publisher whose readers are behind waits a moment for them rather than lease one more segment.
///
/// A lease costs about as long as it may wait, as it is handed to each reader, and spreads the stream over more memory than
/// the caches hold, so readers that are about to be done are worth waiting for. Those that are not, are waited for once:
/// after that, not again until they have caught up with a segment.
struct Patience {
  /// Nanoseconds that are waited for each reader, at the most.
  static let longest: UInt64 = 100_000
  /// Who has not caught up after so many nanoseconds is taken to have stopped.
  static let absence: UInt64 = 10_000_000

  /// When readers were waited for, and have not caught up since.
  private var since: UInt64?

  /// - Parameter now: nanoseconds of a monotonic clock.
  mutating func allowsWaiting(for readers: Int, now: UInt64) -> Bool {
    let start = since ?? now
    since = start
    return now &- start < Self.longest * UInt64(max(readers, 1))
  }

  /// Whether nothing is expected of the readers any more.
  func isOver(at now: UInt64) -> Bool { since.map { now &- $0 >= Self.absence } ?? false }

  /// Readers have caught up.
  mutating func isRewarded() { since = nil }
}
