import Testing

@testable import PoolBus

@Suite("How large a stream's next segment is")
struct SegmentSizingTests {
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
    sizing.shrink(now: Self.start + 20)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, of: SegmentSizing.largest, from: Self.start + SegmentSizing.shortage, keepsUp: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + 20 + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
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
