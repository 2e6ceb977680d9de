/// The sequences of messages that were evicted unread and not reported yet.
struct LostMessages {
  // None or one, in an array: the standard library does not tell the size of a set of ranges, and whatever has one in
  // itself is of unknown size, too, and slow to deal with.
  private var ranges: [RangeSet<UInt64>] = []

  var isEmpty: Bool { ranges.isEmpty }

  /// The first that follow each other.
  var first: Range<UInt64>? { ranges.first?.ranges.first }

  mutating func insert(_ range: Range<UInt64>) {
    if ranges.isEmpty { ranges.append(RangeSet()) }
    ranges[0].insert(contentsOf: range)
  }

  mutating func remove(before sequence: UInt64) {
    guard !ranges.isEmpty else { return }
    ranges[0].remove(contentsOf: 0..<sequence)
    if ranges[0].isEmpty { ranges = [] }
  }
}
