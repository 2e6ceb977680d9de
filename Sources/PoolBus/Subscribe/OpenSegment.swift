import PooledMemory
import Vocabulary

/// A segment of a stream, as the stream's cursor reads it: how far, and in which of its lives.
struct OpenSegment {
  let held: HeldSegment
  private let topic: TopicName
  /// The life that is read; nil once it is read to its end: the segment rests.
  private(set) var segment: BorrowedSegment?
  /// The reader of that life, or of the one that was read last.
  private(set) var reader: SegmentReader
  /// The slot to read next.
  private(set) var next: UInt32 = 0
  /// Committed slots at the last look at how many there are; it may be behind `next`.
  private var visible: UInt32 = 0
  /// Whether the life was seen to be open.
  private var wasOpen = false
  /// How many slots there will ever be, if the node has said so.
  var end: UInt32?
  /// The next slot, if it was read already and its turn had not come.
  private var peeked: Slot?
  /// Where the next payload probably lies.
  private var following = SegmentLayout.headerByteCount
  /// What its publisher had said before the last look that found nothing.
  private var settled: SegmentReader.Progress?

  init(_ held: HeldSegment, epoch: UInt32, topic: TopicName) {
    let segment = BorrowedSegment(held, epoch: epoch, topic: topic, stream: held.stream)
    self.held = held
    self.topic = topic
    self.segment = segment
    reader = segment.reader
  }

  var epoch: UInt32 { reader.identity.epoch }

  // MARK: - The next message

  /// The next slot, if its message is the one that is expected: the way of nearly every message.
  ///
  /// - Parameter looks: how often to look whether it is there.
  @inline(__always)
  mutating func nextSlot(of expected: UInt64, looks: Int) -> Slot? {
    guard segment != nil, peeked == nil, expected < .max, next < end ?? .max, isOpen else { return nil }
    return reader.slot(at: next, holding: expected, looks: looks, payload: following)
  }

  /// Whether its slots say by themselves that they are committed.
  private var isOpen: Bool {
    mutating get {
      if !wasOpen { wasOpen = reader.isOpen }
      return wasOpen
    }
  }

  /// Moves past a slot that is taken; returns what it borrows, and whether it is known to be the log's last.
  @inline(__always)
  mutating func pass(_ slot: Slot) -> (BorrowedSegment?, isLast: Bool) {
    next += 1
    following = slot.following
    return (segment, slot.isLast || next == end)
  }

  /// Lives that are begun at one look: more go on only at a publisher that begins them faster than they can be read, and
  /// others wait meanwhile.
  private static let mostLives = 64

  enum Peek {
    case slot(Slot)
    case nothingYet
    /// It is read to its end, and will have no further life that the node does not hand over.
    case exhausted
  }

  /// The next slot whose message was not delivered yet.
  ///
  /// - Parameter expected: the sequence to deliver next.
  mutating func peek(from expected: UInt64) throws(CorruptSegment) -> Peek {
    // Before it is looked at: what is said from here on makes another look find more.
    settled = reader.progress
    var lives = 0
    while lives < Self.mostLives {
      if segment == nil, !followPublisher(&lives) { return .nothingYet }
      if let slot = peeked {
        if slot.sequence >= expected { return .slot(slot) }
        // A publisher that breaks the rules had it in another segment, too, which was read first.
        peeked = nil
        next += 1
      }
      if next >= visible {
        // The end first: what is committed after it was read as absent can't be missed then.
        let end = end ?? reader.sealedCount
        guard let committed = reader.committedInThisLife else {
          if followPublisher(&lives) { continue }
          return self.end == nil ? .nothingYet : .exhausted
        }
        visible = end.map { min($0, committed) } ?? committed
        if next >= visible {
          guard let end else { return .nothingYet }
          if next < end {
            // A publisher that lives says how many there will be just before it says that they are there.
            guard self.end != nil else { return .nothingYet }
            throw missing(committed: committed, end: end)
          }
          if !isRenewable { return .exhausted }
          letGo()
          continue
        }
      }
      do throws(CorruptSegment) {
        let slot = try reader.slot(at: next)
        if slot.sequence >= expected {
          peeked = slot
          return .slot(slot)
        }
        next += 1
      } catch {
        // It was all before what this subscription wants, so its publisher did not wait for it.
        guard followPublisher(&lives) else { throw error }
      }
    }
    return .nothingYet
  }

  /// Whether its publisher has said nothing since the last ``peek(from:)``.
  var isQuiet: Bool {
    // Mutating: else the compiler copies the segment to ask it.
    @inline(__always) mutating get { reader.progress == settled }
  }

  /// How many slots follow each other in the stream from one that is the next here: as far as was seen.
  ///
  /// - Parameter limit: how many at the most; 1 or more.
  mutating func run(from slot: Slot, limit: Int) -> UInt32 {
    guard limit > 1 else { return 1 }
    if next >= visible { visible = min(end ?? .max, reader.committed) }
    let count = min(max(visible, next + 1) - next, UInt32(clamping: limit))
    // Not beyond the last sequence that there can be: a hostile publisher's could begin anew behind it.
    guard count > 1, slot.sequence < .max - UInt64(count) else { return 1 }
    // They rise, so if the last one fits, all do.
    if reader.claimedSequence(at: next + count - 1) == slot.sequence + UInt64(count) - 1 { return count }
    var length: UInt32 = 1
    while length < count, reader.claimedSequence(at: next + length) == slot.sequence + UInt64(length) { length += 1 }
    return length
  }

  /// Moves past slots that are taken.
  mutating func skip(_ count: UInt32) {
    next += count
    peeked = nil
  }

  /// Fewer messages than were sealed: the publisher has taken some back.
  private func missing(committed: UInt32, end: UInt32) -> CorruptSegment {
    CorruptSegment(
      identity: reader.identity, slot: committed, field: .index, value: UInt64(committed),
      allowed: UInt64(end)...UInt64(end))
  }

  // MARK: - Lives

  /// Whether the next life may begin without a word of the node.
  var isRenewable: Bool { held.isRenewable(in: epoch) }

  /// Whether all of this life was taken.
  var isRead: Bool {
    guard next >= visible, let end = end ?? reader.sealedCount else { return false }
    return next >= end
  }

  mutating func begin(_ epoch: UInt32) {
    letGo()
    // Not `self` as a whole, which would copy what stays.
    let segment = BorrowedSegment(held, epoch: epoch, topic: topic, stream: held.stream)
    self.segment = segment
    reader = segment.reader
    (next, visible, wasOpen, end) = (0, 0, false, nil)
    (peeked, following, settled) = (nil, SegmentLayout.headerByteCount, nil)
  }

  /// Begins to read the life that the segment is in by now, if its publisher has begun another.
  ///
  /// - Parameter lives: how many were begun at this look.
  private mutating func followPublisher(_ lives: inout Int) -> Bool {
    // Each other life is told of to the node, which a publisher that breaks the rules could drown in them.
    guard held.isFollowed else { return false }
    let epoch = held.mapping.epoch
    guard epoch > self.epoch else { return false }
    begin(epoch)
    lives += 1
    return true
  }

  /// Moves past this life, and says so if samples of it are out.
  mutating func letGo() {
    if let segment = segment.take() { BorrowedSegment.pass(segment) }
  }

  /// Moves past this life, of which it is yet to be said whether samples are out.
  mutating func leave() -> (held: HeldSegment, epoch: UInt32) {
    segment = nil
    return (held, epoch)
  }
}
