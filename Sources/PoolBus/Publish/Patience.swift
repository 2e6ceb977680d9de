/// Whether a publisher whose readers are behind waits a moment for them rather than lease one more segment.
///
/// A lease costs about as long as it may wait, and spreads the stream over more memory than the caches hold, so a reader
/// that is about to be done is worth waiting for. One that is not, is waited for once: after that, not again until
/// readers have caught up with a segment.
struct Patience {
  /// Nanoseconds.
  static let longest: UInt64 = 100_000

  private var since: UInt64?
  /// Readers did not catch up in time.
  private(set) var isSpent = false

  /// - Parameter now: nanoseconds of a monotonic clock.
  mutating func allowsWaiting(now: UInt64) -> Bool {
    guard !isSpent else { return false }
    let start = since ?? now
    since = start
    isSpent = now &- start >= Self.longest
    return !isSpent
  }

  /// Readers have caught up.
  mutating func isRewarded() {
    since = nil
    isSpent = false
  }
}
