import PooledMemory

/// The segments of one size class that a publisher writes to: the current one, those that were written and rest until
/// all have read them, and those leased ahead of need.
///
/// Small messages share segments. A large one has a segment of its own; if such come one after the other, a few share, and
/// more if they come faster than they could be written.
struct Lane: ~Copyable {
  enum Kind: CaseIterable { case small, large }

  /// Messages that need a larger segment than this are large.
  static let largestShared = 2 << 20
  /// How many messages, at least, a segment that is shared has room for: as few as make its turn cheap, and leave what is in
  /// turn in the caches.
  static let shared = 2
  /// How many written segments rest; what is older is sealed, and so the node's to reclaim. While readers keep up, so many
  /// are enough, and they stay in the caches.
  static let mostResting = 3

  let kind: Kind
  var current: LeasedSegment?
  /// Oldest first.
  var resting: [LeasedSegment] = []
  var ahead: [LeasedSegment] = []
  var sizing = SegmentSizing()
  var patience = Patience()
  /// The smallest segment that could hold the last message that a lease was asked for.
  private var lastNeed = 0
  /// Two messages alike promise more.
  private var isSteady = false

  init(_ kind: Kind) { self.kind = kind }

  /// - Parameters:
  ///   - isRenewed: whether it is one that all have read.
  ///   - isLarger: whether it is taken in place of such, as they are too small.
  mutating func begin(with segment: LeasedSegment, isRenewed: Bool, isLarger: Bool, now: UInt64) {
    let filled = (current ?? resting.last ?? segment).log.capacity
    current = segment
    sizing.rotated(filled: filled, keepsUp: isRenewed || isLarger, now: now)
    if isRenewed { patience.isRewarded() }
  }

  /// Whether a segment is so small, for the stream's rate, that a larger one is better than to write it anew.
  func hasOutgrown(_ segment: LeasedSegment, limit: Int) -> Bool {
    // Of large ones, what is leased is whole messages, and so may be less than is wanted.
    let wanted = capacity(limit: limit)
    return Self.isFarBelow(
      segment.log.capacity, kind == .small ? wanted : min(wanted, leastForTurns(limit: limit)))
  }

  /// Whether a larger one has taken its place.
  func isReplaced(_ segment: LeasedSegment) -> Bool {
    replacement.map { Self.isFarBelow(segment.log.capacity, $0) } ?? false
  }

  private static func isFarBelow(_ capacity: Int, _ other: Int) -> Bool { capacity <= other / 4 * 3 }

  /// Takes what rests and is replaced.
  mutating func takeReplaced() -> [LeasedSegment] {
    guard let replacement else { return [] }
    return takeResting { Self.isFarBelow($0.log.capacity, replacement) }
  }

  /// The size that takes the place of what is far smaller. Large messages are of many sizes, each of which has segments of
  /// its own, until turns are to be rare.
  private var replacement: Int? {
    current.map { kind == .small ? $0.log.capacity : min($0.log.capacity, sizing.leastForTurns) }
  }

  /// Whether what rests is outgrown, and what can take its place is there.
  func mayGrow(for need: Int, limit: Int) -> Bool {
    guard let last = resting.last, hasOutgrown(last, limit: limit) else { return false }
    return ahead.contains { $0.log.capacity >= need }
  }

  /// Whether one more segment is not leased yet, as so much rests, and readers may be about to be done with some. A slow
  /// stream has nothing to gain by that: who writes to it comes again long after.
  ///
  /// - Parameter now: nanoseconds of a monotonic clock.
  func countsOnReaders(at now: UInt64) -> Bool {
    resting.count >= Self.mostResting - 1 && !patience.isOver(at: now) && sizing.isFast(at: now)
  }

  /// Whether its segments are as large as they shall be, so that one more would only be more than the caches hold. What
  /// follows a smaller one is larger if it is leased, and so costs less for each message: better than to wait long.
  func isFullGrown(limit: Int) -> Bool { resting.last.map { $0.log.capacity >= capacity(limit: limit) } ?? false }

  /// The size of a segment to lease for a message that needs so much, of a pool, or quota, of `limit` bytes.
  mutating func capacity(for need: Int, limit: Int) -> Int {
    isSteady = need == lastNeed
    lastNeed = need
    return capacity(limit: limit)
  }

  /// The size of the segment to lease now, ahead of need; nil if the pool, or quota, holds too few.
  func capacityAhead(limit: Int) -> Int? {
    let capacity = capacity(limit: limit)
    guard kind == .small || isSteady || capacity > lastNeed else { return nil }
    return capacity <= limit / 2 ? capacity : nil
  }

  /// What the stream's rate asks for, and room for a few messages, but never so much that four segments would not fit; for
  /// large messages, that eight would not, unless one is for fewer messages anyway.
  private func capacity(limit: Int) -> Int {
    let share = min(limit / 4, SegmentLayout.maximumCapacity)
    switch kind {
    case .small:
      let wanted = max(sizing.capacity, sizing.leastForTurns, Self.shared * lastNeed)
      return max(lastNeed, SegmentLayout.wholePages(min(wanted, share)))
    case .large:
      guard lastNeed > 0 else { return 0 }
      let few = isSteady ? max(1, min(Self.shared, share / lastNeed)) : 1
      return lastNeed * max(few, leastForTurns(limit: limit) / lastNeed)
    }
  }

  private func leastForTurns(limit: Int) -> Int { min(sizing.leastForTurns, limit / 8, SegmentLayout.maximumCapacity) }

  /// Which of those that rest may be written anew, and was written last, as the caches still have it.
  func rested(for need: Int, where mayBeRenewed: (LeasedSegment) -> Bool) -> Int? {
    // Not `lastIndex(where:)`, which allocates in a debug build: this is asked again and again while readers are waited for.
    var index = resting.count - 1
    while index >= 0, resting[index].log.capacity < need || !mayBeRenewed(resting[index]) { index -= 1 }
    return index >= 0 ? index : nil
  }

  /// Takes a segment that was leased ahead of need.
  mutating func takeAhead(for need: Int) -> LeasedSegment? {
    ahead.firstIndex { $0.log.capacity >= need }.map { ahead.remove(at: $0) }
  }

  /// Takes what rests and is not to be renewed.
  mutating func takeForced() -> [LeasedSegment] { takeResting(where: \.isForced) }

  private mutating func takeResting(where isTaken: (LeasedSegment) -> Bool) -> [LeasedSegment] {
    defer { resting.removeAll(where: isTaken) }
    return resting.filter(isTaken)
  }

  /// What is not written to: all that rests, and what was leased ahead if that is wanted.
  mutating func takeUnused(andAhead: Bool) -> [LeasedSegment] {
    defer {
      resting = []
      if andAhead { ahead = [] }
    }
    return andAhead ? resting + ahead : resting
  }
}
