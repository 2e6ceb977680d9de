import Testing

@testable import PoolBus

@Suite("How large a stream's next segment is")
struct SegmentSizingTests {
  /// Bytes of the pool.
  private static let limit = 32 << 20
  private static let start: UInt64 = 1_000_000_000

  /// Fills segments of one size, one after the other, from a moment on.
  private func fill(
    _ count: Int, of filled: Int = SegmentSizing.smallest, from start: UInt64, each life: UInt64 = 1,
    keepsUp: Bool = false, _ sizing: inout SegmentSizing
  ) {
    for index in 0..<UInt64(count) { sizing.rotated(filled: filled, keepsUp: keepsUp, now: start + index * life) }
  }

  @Test("It grows while a fast stream runs ahead of its readers, up to a bound")
  func grows() {
    var sizing = SegmentSizing()
    fill(2, from: Self.start, &sizing)
    #expect(sizing.capacity == 2 * SegmentSizing.smallest)
    fill(20, from: Self.start, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }

  @Test("It knows how long the last segment took")
  func measuresLives() {
    var sizing = SegmentSizing()
    #expect(sizing.life == 0)
    fill(2, from: Self.start, each: 300, &sizing)
    #expect(sizing.life == 300)
    fill(1, from: Self.start + 1_000, &sizing)
    #expect(sizing.life == 700)
  }

  @Test("It does not grow while readers keep up, if its segments last a moment")
  func staysSmall() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, each: SegmentSizing.shortestLife, keepsUp: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.smallest)
  }

  @Test("Else it is twice as large as those that are filled, up to a bound, although readers keep up")
  func growsWithItsRate() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, each: SegmentSizing.shortestLife - 1, keepsUp: true, &sizing)
    #expect(sizing.capacity == 2 * SegmentSizing.smallest)
    fill(20, of: SegmentSizing.largest, from: Self.start, keepsUp: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }

  @Test("A rate that asks for less than it has does not make it smaller")
  func keepsWhatItHas() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, &sizing)
    fill(20, from: Self.start, keepsUp: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }

  @Test("It comes down when others need memory, and stays there for a while")
  func shrinks() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, &sizing)
    sizing.shrink(now: Self.start + 20, limit: Self.limit)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, of: SegmentSizing.largest, from: Self.start + SegmentSizing.shortage, keepsUp: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + 20 + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }

  /// As where eight publishers write faster than is read of them: each that waits asks all others.
  @Test("It does not come down for ever, but to a small part of the pool")
  func keepsAShare() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, &sizing)
    for _ in 0..<20 { sizing.shrink(now: Self.start + 20, limit: Self.limit) }
    #expect(sizing.capacity == Self.limit / SegmentSizing.leastShare)
    for _ in 0..<20 { sizing.shrink(now: Self.start + 20, limit: SegmentSizing.smallest) }
    #expect(sizing.capacity == SegmentSizing.smallest)
    sizing.shrink(now: Self.start + 20, limit: Self.limit)
    #expect(sizing.capacity == SegmentSizing.smallest)
  }

  /// A segment that is filled so often, each time in less than a turn should take, is filled so many times too often.
  private static let tooOften = SegmentSizing.mostShortTurns + 1

  @Test("Turns that follow each other at once ask for far larger segments, and larger ones yet if they go on")
  func makesTurnsRare() {
    var sizing = SegmentSizing()
    fill(Self.tooOften, of: 64 << 20, from: Self.start, each: SegmentSizing.shortestTurn - 1, keepsUp: true, &sizing)
    #expect(sizing.leastForTurns == SegmentSizing.growth * 64 << 20)
    // From here on the first is a turn, too.
    fill(Self.tooOften - 1, of: 1 << 30, from: Self.start + 1_000_000_000, each: 0, keepsUp: true, &sizing)
    #expect(sizing.leastForTurns == 64 << 20 * SegmentSizing.growth)
    fill(Self.tooOften - 1, of: 1 << 30, from: Self.start + 1_000_000_000, each: 0, keepsUp: true, &sizing)
    #expect(sizing.leastForTurns == SegmentSizing.growth << 30)
  }

  @Test("One that takes longer now and then, as where a core is taken away, does not keep it from that")
  func bearsInterruptions() {
    func grown(interruptedAfter turns: Int) -> Bool {
      var sizing = SegmentSizing()
      var now = Self.start
      sizing.rotated(filled: 64 << 20, keepsUp: true, now: now)
      for turn in 1..<10 * SegmentSizing.mostShortTurns {
        now += turn % turns == 0 ? SegmentSizing.shortestTurn : SegmentSizing.shortestTurn - 1
        sizing.rotated(filled: 64 << 20, keepsUp: true, now: now)
      }
      return sizing.leastForTurns > 0
    }
    #expect(grown(interruptedAfter: 2 * SegmentSizing.shortTurnsMadeUpFor))
    #expect(!grown(interruptedAfter: SegmentSizing.shortTurnsMadeUpFor))
  }

  @Test("A few such turns do not, nor such as take their time, nor any while others need memory")
  func mindsWhatTurnsCost() {
    var sizing = SegmentSizing()
    fill(Self.tooOften - 1, from: Self.start, each: 0, keepsUp: true, &sizing)
    fill(Self.tooOften, from: 2 * Self.start, each: SegmentSizing.shortestTurn, keepsUp: true, &sizing)
    #expect(sizing.leastForTurns == 0)
    sizing.shrink(now: 3 * Self.start, limit: Self.limit)
    fill(10 * Self.tooOften, from: 3 * Self.start, each: 0, keepsUp: true, &sizing)
    #expect(sizing.leastForTurns == 0)
  }

  @Test("Large messages share a segment once turns are to be rare, of an eighth of the pool at the most")
  func sharesSegments() {
    let need = (64 << 20) + 8192
    var lane = Lane(.large)
    #expect(lane.capacity(for: need, limit: 64 * need) == need)
    #expect(lane.capacityAhead(limit: 64 * need) == nil)
    fill(Self.tooOften, of: need, from: Self.start, each: 0, keepsUp: true, &lane.sizing)
    #expect(lane.capacityAhead(limit: 256 * need) == SegmentSizing.growth * need)
    #expect(lane.capacityAhead(limit: 64 * need) == 8 * need)
    #expect(lane.capacityAhead(limit: 15 * need) == nil)
  }

  @Test("It grows to its largest only where the publisher comes back at once after each segment")
  func mindsPauses() {
    func grown(pause: UInt64) -> Int {
      var sizing = SegmentSizing()
      for index in 0..<20 {
        let now = Self.start + UInt64(index) * 100_000
        sizing.ended(at: now)
        sizing.asked(at: now + pause)
        // Asked again while readers are waited for, which is no pause of the publisher's.
        sizing.asked(at: now + 50_000)
        sizing.rotated(filled: sizing.capacity, keepsUp: true, now: now + 50_000)
      }
      return sizing.capacity
    }
    #expect(grown(pause: SegmentSizing.pause - 1) == SegmentSizing.largest)
    #expect(grown(pause: SegmentSizing.pause) == SegmentSizing.largestWithPauses)
  }
}
