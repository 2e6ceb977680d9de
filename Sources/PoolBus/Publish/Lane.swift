import PooledMemory

/// The segments of one size class that a publisher writes to: the current one, and those leased ahead of need.
///
/// Small messages share segments; each large one has a segment of its own, of its own size.
struct Lane {
  enum Kind: Hashable { case small, large }

  /// Messages that need a larger segment than this get one of their own.
  static let largestShared = SegmentSizing.largest / 4

  let kind: Kind
  var current: LeasedSegment?
  var ahead: [LeasedSegment] = []
  var sizing = SegmentSizing()
  /// The smallest segment that could hold the last message.
  private var lastNeed = 0
  /// How large the last segments of their own were: two alike promise a third.
  private var lastCapacity = 0
  private var isSteady = false

  init(_ kind: Kind) { self.kind = kind }

  mutating func begin(with segment: LeasedSegment, now: UInt64) {
    current = segment
    sizing.rotated(now: now)
    isSteady = segment.log.capacity == lastCapacity
    lastCapacity = segment.log.capacity
  }

  /// The size of a segment to lease for a message that needs so much, of a pool, or quota, of `limit` bytes.
  mutating func capacity(for need: Int, limit: Int) -> Int {
    lastNeed = need
    return kind == .large ? need : max(need, sharedCapacity(limit: limit))
  }

  /// The size that the stream's rate asks for, but never so much that four segments would not fit.
  private func sharedCapacity(limit: Int) -> Int { SegmentLayout.wholePages(min(sizing.capacity, limit / 4)) }

  /// The size of the segment to lease now, ahead of need; nil if none is needed yet.
  func capacityAhead(of current: SegmentWriter, limit: Int) -> Int? {
    switch kind {
    case .large:
      // Only if such payloads come one after the other, and the pool holds several.
      return isSteady && current.capacity <= limit / 4 ? current.capacity : nil
    case .small:
      let capacity = max(lastNeed, sharedCapacity(limit: limit))
      return capacity <= limit / 2 ? capacity : nil
    }
  }

  /// Takes the segment out of those ahead; false if it is none of them.
  mutating func removeAhead(_ segment: LeasedSegment) -> Bool {
    guard let index = ahead.firstIndex(where: { $0 === segment }) else { return false }
    ahead.remove(at: index)
    return true
  }

  /// Everything that could still be loaned from; the lane is empty afterwards.
  mutating func giveUp() -> [LeasedSegment] {
    defer {
      current = nil
      ahead = []
    }
    return ahead + (current.map { [$0] } ?? [])
  }
}
