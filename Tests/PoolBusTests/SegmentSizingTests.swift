import Testing

@testable import PoolBus

@Suite("How large a stream's next segment is")
struct SegmentSizingTests {
  private static let start: UInt64 = 1_000_000_000

  /// Fills segments fast, one after the other, from a moment on.
  private func fill(_ count: Int, from start: UInt64, isRenewed: Bool = false, _ sizing: inout SegmentSizing) {
    for index in 0..<UInt64(count) { sizing.rotated(isRenewed: isRenewed, now: start + index) }
  }

  @Test("It grows while a fast stream runs ahead of its readers, up to a bound")
  func grows() {
    var sizing = SegmentSizing()
    fill(2, from: Self.start, &sizing)
    #expect(sizing.capacity == 2 * SegmentSizing.smallest)
    fill(20, from: Self.start, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }

  @Test("It does not grow while readers keep up")
  func staysSmall() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, isRenewed: true, &sizing)
    #expect(sizing.capacity == SegmentSizing.smallest)
  }

  @Test("It comes down when others need memory, and stays there for a while")
  func shrinks() {
    var sizing = SegmentSizing()
    fill(20, from: Self.start, &sizing)
    sizing.shrink(now: Self.start + 20)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest / 2)
    fill(20, from: Self.start + 20 + SegmentSizing.shortage, &sizing)
    #expect(sizing.capacity == SegmentSizing.largest)
  }
}
