import PooledMemory
import Vocabulary

/// Where a subscription stands in one stream: a pure state machine over the segments it was handed.
///
/// Sequences say what comes next, segments only where it lies: a large message has a segment of its own, and a loan that
/// is long out keeps an old segment open, so the next message may be in any of them.
struct StreamCursor {
  /// What there is to take.
  enum Look {
    case message(index: Int, Slot)
    /// The next messages were evicted unread.
    case lagged(ClosedRange<UInt64>)
    case corrupt(index: Int?, CorruptSegment)
    case nothing
    /// The stream has ended, and all of it is read.
    case finished
  }

  struct OpenSegment {
    let segment: BorrowedSegment
    let reader: SegmentReader
    /// The slot to read next.
    var next: UInt32 = 0
    /// Committed slots at the last look; the shared word is read again only when these are used up.
    var visible: UInt32 = 0
    /// How many slots there will ever be, if that is known.
    var end: UInt32?
    /// The next slot, if it was read already and its turn had not come.
    var peeked: Slot?
  }

  private struct LeftSegment {
    weak var segment: BorrowedSegment?
  }

  let topic: TopicName
  let stream: StreamID
  /// The sequence to deliver next; all before it are delivered or reported lost.
  private(set) var expected: UInt64
  private(set) var segments: [OpenSegment] = []
  private var lost = RangeSet<UInt64>()
  private(set) var hasEnded = false
  /// Read to their end since the last look.
  private var left: [LeftSegment] = []
  /// After a corrupt segment nobody knows what it held: the next message that is found is the next.
  private var takesAny = false

  init(topic: TopicName, stream: StreamID, firstSequence: UInt64) {
    self.topic = topic
    self.stream = stream
    expected = firstSequence
  }

  // MARK: - What the node says

  mutating func add(_ segment: BorrowedSegment) {
    segments.append(OpenSegment(segment: segment, reader: segment.reader))
  }

  mutating func end() { hasEnded = true }

  mutating func sealed(_ identity: SegmentIdentity, slots: UInt32) {
    guard let index = segments.firstIndex(where: { $0.segment.reader.identity == identity }) else { return }
    segments[index].end = slots
  }

  mutating func lose(_ range: ClosedRange<UInt64>) {
    guard range.upperBound >= expected, range.upperBound < .max else { return }
    lost.insert(contentsOf: max(range.lowerBound, expected)..<(range.upperBound + 1))
  }

  /// The segment is taken away: what is unread of it is lost (the node says which messages those are).
  mutating func drop(_ id: SegmentID) {
    while let index = segments.firstIndex(where: { $0.segment.reader.identity.id == id }) { finish(index) }
  }

  /// Lets go of everything.
  mutating func dropAll() {
    while !segments.isEmpty { finish(segments.count - 1) }
  }

  // MARK: - Reading

  /// What comes next, without taking it.
  mutating func look() -> Look {
    if !left.isEmpty { tellOfLeft() }
    if !lost.isEmpty, let range = lost.ranges.first, range.contains(expected) {
      return .lagged(expected...(range.upperBound - 1))
    }
    var index = 0
    var earliest: (index: Int, slot: Slot)?
    while index < segments.count {
      do throws(CorruptSegment) {
        switch try peek(index) {
        case .slot(let slot):
          if slot.sequence == expected { return .message(index: index, slot) }
          if earliest.map({ slot.sequence < $0.slot.sequence }) ?? true { earliest = (index, slot) }
          index += 1
        case .nothingYet: index += 1
        case .exhausted: finish(index)
        }
      } catch {
        return .corrupt(index: index, error)
      }
    }
    if let earliest {
      if takesAny { return .message(index: earliest.index, earliest.slot) }
      // Everything is here, and still the next message is not: the publisher left a gap.
      if hasEnded {
        let gap = CorruptSegment(
          identity: segments[earliest.index].segment.reader.identity, slot: segments[earliest.index].next,
          field: .sequence, value: earliest.slot.sequence, allowed: expected...expected)
        return .corrupt(index: nil, gap)
      }
    }
    return hasEnded && segments.isEmpty ? .finished : .nothing
  }

  /// Takes the message that ``look()`` found; whoever holds the segment borrows it.
  mutating func take(_ slot: Slot, at index: Int) -> BorrowedSegment {
    let segment = segments[index].segment
    segments[index].next += 1
    segments[index].peeked = nil
    leaveIfRead(index)
    advance(to: slot.sequence == .max ? .max : slot.sequence + 1)
    takesAny = false
    return segment
  }

  /// Takes the message that ``look()`` found, and as many as follow it in the stream and lie behind it in its segment.
  ///
  /// - Parameter limit: how many at the most; 1 or more.
  mutating func takeRun(_ slot: Slot, at index: Int, limit: Int) -> (segment: BorrowedSegment, count: Int) {
    let segment = segments[index].segment
    let reader = segments[index].reader
    let end = segments[index].visible
    let start = segments[index].next
    var next = start + 1
    var sequence = slot.sequence &+ 1
    if lost.isEmpty {
      while next < end, Int(next - start) < limit, reader.claimedSequence(at: next) == sequence {
        next += 1
        sequence &+= 1
      }
    }
    segments[index].next = next
    segments[index].peeked = nil
    leaveIfRead(index)
    advance(to: sequence == 0 ? .max : sequence)
    takesAny = false
    return (segment, Int(next - start))
  }

  /// Moves past the lost messages that ``look()`` found.
  mutating func skip(_ range: ClosedRange<UInt64>) { advance(to: range.upperBound + 1) }

  /// Moves past what ``look()`` found corrupt.
  mutating func skipCorrupt(at index: Int?) {
    if let index { finish(index) }
    takesAny = true
  }

  private mutating func advance(to sequence: UInt64) {
    expected = sequence
    if !lost.isEmpty { lost.remove(contentsOf: 0..<sequence) }
  }

  private enum Peek {
    case slot(Slot)
    case nothingYet
    case exhausted
  }

  /// The segment's next slot whose message was not delivered yet.
  private mutating func peek(_ index: Int) throws(CorruptSegment) -> Peek {
    while true {
      if let slot = segments[index].peeked { return .slot(slot) }
      let next = segments[index].next
      if next >= segments[index].visible {
        // The end first: what is committed after it was read as absent can't be missed then.
        let end = segments[index].end ?? segments[index].reader.sealedCount
        let committed = segments[index].reader.committed
        segments[index].visible = end.map { min($0, committed) } ?? committed
        if next >= segments[index].visible {
          return end.map { next >= $0 } ?? false ? .exhausted : .nothingYet
        }
      }
      let slot = try segments[index].reader.slot(at: next)
      if slot.sequence >= expected {
        segments[index].peeked = slot
        return .slot(slot)
      }
      segments[index].next += 1
    }
  }

  /// Lets go of a segment whose last message was just taken: it is released as soon as its samples are dropped, whether
  /// or not anybody looks for more.
  private mutating func leaveIfRead(_ index: Int) {
    let open = segments[index]
    guard open.next >= open.visible, let end = open.end ?? open.reader.sealedCount, open.next >= end else { return }
    left.append(LeftSegment(segment: segments.remove(at: index).segment))
  }

  /// Says of the segments that were left, but are borrowed still, that they are read.
  private mutating func tellOfLeft() {
    for left in left {
      if let segment = left.segment { BorrowedSegment.pass(segment) }
    }
    left.removeAll(keepingCapacity: true)
  }

  private mutating func finish(_ index: Int) {
    BorrowedSegment.pass(segments.remove(at: index).segment)
  }
}
