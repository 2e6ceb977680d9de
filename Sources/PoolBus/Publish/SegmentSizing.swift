/// How large a stream's next segment shall be: small while the stream is slow, so that idle topics are cheap; larger as
/// it speeds up, so that a fast stream asks its node seldom.
struct SegmentSizing {
  static let smallest = 64 << 10
  static let largest = 8 << 20
  /// A segment that lasted less than this was too small.
  static let shortLife: UInt64 = 50_000_000
  /// One that lasted longer than this was larger than it need be.
  static let longLife: UInt64 = 5_000_000_000

  /// Bytes of the next segment, header and slots included.
  private(set) var capacity = smallest
  private var started: UInt64?

  /// A segment was filled and the next begins; `now` in nanoseconds of a monotonic clock.
  mutating func rotated(now: UInt64) {
    defer { started = now }
    guard let started, now >= started else { return }
    if now - started < Self.shortLife {
      capacity = min(capacity * 2, Self.largest)
    } else if now - started > Self.longLife {
      capacity = max(capacity / 2, Self.smallest)
    }
  }
}
