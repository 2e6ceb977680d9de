/// How large a stream's next segment shall be: small while readers keep up with it, so that idle topics are cheap and
/// busy ones stay in the caches; larger as it runs ahead of them, so that a fast stream asks its node seldom; and larger
/// as it fills one after the other at once, so that its segments do not go from one core's own cache to the other's.
struct SegmentSizing {
  static let smallest = 64 << 10
  /// Of a stream that is written without a pause; two of them are in turn as long as its readers keep up. Whole huge pages:
  /// three messages of 1 MiB, which is where those flow fastest on a processor with 1 MiB of cache for each core. With five
  /// to a segment they take a quarter as long again.
  static let largest = 4 << 20
  /// Of one that is not, as where each message is an answer to another.
  static let largestWithPauses = 2 << 20
  /// Who asks for room again within so many nanoseconds after its last message makes no pause.
  static let pause: UInt64 = 5_000
  /// A segment that lasted less than this was too small.
  static let shortLife: UInt64 = 50_000_000
  /// One that lasted less than this is too small even where readers keep up: what was read just now lies in the readers'
  /// own caches, and to write it anew costs five times what it costs where the cores share a cache (64 KiB: 7 us for 1.3).
  static let shortestLife: UInt64 = 1_000_000
  /// One that lasted less than this is too small for what it holds: to go from one to the next takes half a microsecond of
  /// both sides. Only of large messages that are not written whole are there as few as in so short a life.
  static let shortestTurn: UInt64 = 20_000
  /// After so many of these segments are to hold so many times as much. One that lasted longer makes up for a few: it may be
  /// that the machine did something else meanwhile.
  static let mostShortTurns = 1_000
  static let shortTurnsMadeUpFor = 16
  static let growth = 16
  /// One that lasted longer than this was larger than it need be.
  static let longLife: UInt64 = 5_000_000_000
  /// For so long after others needed memory it does not grow.
  static let shortage: UInt64 = 10_000_000_000
  /// Of so many parts of a pool one will do, whatever others need: with less memory than that there is, a segment is leased
  /// with what there is.
  static let leastShare = 64

  /// Bytes of the next segment, header and slots included.
  private(set) var capacity = smallest
  /// At least so many bytes, if messages so large may share a segment, keep turns rare; 0 as long as they are.
  private(set) var leastForTurns = 0
  /// How long the last segment took, from its begin to the next one's.
  private(set) var life: UInt64 = 0
  private var shortTurns = 0
  private var started: UInt64?
  /// When the last segment was full, and how long after that room was asked for again.
  private var ended: UInt64?
  private var paused: UInt64?
  /// What it came down to when others last needed memory, and when that was.
  private var ceiling: (capacity: Int, time: UInt64)?

  /// Whether the segment at hand was begun less than a short life ago.
  func isFast(at now: UInt64) -> Bool { started.map { now &- $0 < Self.shortLife } ?? false }

  /// Others need memory, too: not only now, so it stays small for a while; but not ever smaller where all write faster than
  /// is read, and so need memory again and again.
  ///
  /// - Parameter limit: bytes of the pool, or of the stream's quota.
  mutating func shrink(now: UInt64, limit: Int) {
    capacity = min(capacity, max(capacity / 2, limit / Self.leastShare, Self.smallest))
    leastForTurns = 0
    ceiling = (capacity, now)
  }

  /// The last message was written to a segment; times are of a monotonic clock.
  mutating func ended(at now: UInt64) {
    ended = now
    paused = nil
  }

  /// Room is asked for that only the next segment has; perhaps not for the first time.
  mutating func asked(at now: UInt64) {
    if paused == nil, let ended { paused = now &- ended }
  }

  /// A segment was filled and the next begins; `now` in nanoseconds of a monotonic clock.
  ///
  /// - Parameters:
  ///   - filled: how large the one was that was filled.
  ///   - keepsUp: whether all readers have read one already that could be written anew.
  mutating func rotated(filled: Int, keepsUp: Bool, now: UInt64) {
    defer { started = now }
    guard let started, now >= started else { return }
    life = now - started
    countTurn(filled: filled, now: now)
    if keepsUp {
      if life < Self.shortestLife { capacity = max(capacity, min(2 * filled, limit(at: now))) }
    } else if life < Self.shortLife {
      capacity = min(capacity * 2, limit(at: now))
    } else if life > Self.longLife {
      capacity = max(capacity / 2, Self.smallest)
      leastForTurns = 0
    }
  }

  private mutating func countTurn(filled: Int, now: UInt64) {
    guard life < Self.shortestTurn, !isShort(at: now) else {
      shortTurns = max(shortTurns - Self.shortTurnsMadeUpFor, 0)
      return
    }
    shortTurns += 1
    guard shortTurns >= Self.mostShortTurns else { return }
    shortTurns = 0
    leastForTurns = max(leastForTurns, Self.growth * filled)
  }

  private func isShort(at now: UInt64) -> Bool { ceiling.map { now &- $0.time < Self.shortage } ?? false }

  private func limit(at now: UInt64) -> Int {
    if let ceiling, isShort(at: now) { return ceiling.capacity }
    return (paused ?? 0) < Self.pause ? Self.largest : Self.largestWithPauses
  }
}
