import PooledMemory
import Vocabulary

/// Where a subscription stands in one stream: a pure state machine over the segments it was handed.
///
/// Sequences say what comes next, segments only where it lies: a large message has a segment of its own, and a loan that
/// is long out keeps an old segment open, so the next message may be in any of them. A segment that is read to its end
/// rests here until its publisher begins its next life, or the node takes it away.
struct StreamCursor {
  let topic: TopicName
  let stream: StreamID
  /// The sequence to deliver next; all before it are delivered or reported lost.
  private(set) var expected: UInt64
  private(set) var segments: [OpenSegment] = []
  private var lost = LostMessages()
  private(set) var hasEnded = false
  /// It has ended, but its publisher may go on at a later node.
  private(set) var mayReturn = false
  /// Read to their end since the last look.
  private var left: [(held: HeldSegment, epoch: UInt32)] = []
  /// After a corrupt segment nobody knows what it held: the next message that is found is the next.
  private var takesAny = false
  /// Where the last message was taken from.
  private var atHand = 0
  /// The last look found nothing, and since then nothing was taken, nor said by the node.
  private var isSettled = false

  init(topic: TopicName, stream: StreamID, firstSequence: UInt64) {
    self.topic = topic
    self.stream = stream
    expected = firstSequence
  }

  // MARK: - What the node says

  /// A segment is handed over, in this life, or a later one if its publisher has gone on since the node looked.
  mutating func add(_ held: HeldSegment, epoch: UInt32) {
    isSettled = false
    let epoch = max(epoch, held.mapping.epoch)
    guard let index = segments.firstIndex(where: { $0.held.id == held.id }) else {
      segments.append(OpenSegment(held, borrow(held, epoch)))
      return leaveIfKnown(segments.count - 1)
    }
    if segments[index].reader.identity.epoch < epoch {
      begin(epoch, at: index)
    } else {
      // Found in the memory itself before the node spoke of it; it may even be read already.
      held.repeatRelease(of: epoch)
    }
  }

  mutating func end(mayReturn: Bool = false) {
    isSettled = false
    hasEnded = true
    self.mayReturn = mayReturn
  }

  /// It is introduced once more, as its publisher goes on: from this message on, all is handed that is not here.
  mutating func goOn(from sequence: UInt64) {
    isSettled = false
    hasEnded = false
    mayReturn = false
    if sequence > expected { lose(expected...(sequence - 1)) }
  }

  /// A life has ended, and the node waits for its release.
  mutating func sealed(_ identity: SegmentIdentity, slots: UInt32) {
    isSettled = false
    guard let index = segments.firstIndex(where: { $0.held.id == identity.id }) else { return }
    if segments[index].reader.identity.epoch < identity.epoch { begin(identity.epoch, at: index) }
    guard segments[index].reader.identity.epoch == identity.epoch else {
      // The publisher has gone on already: that life is nothing to be read.
      segments[index].held.disclaim(identity.epoch)
      return
    }
    segments[index].end = slots
    leaveIfKnown(index)
  }

  /// Releases a life at once if it holds nothing that was not read before, as nobody may look for more.
  private mutating func leaveIfKnown(_ index: Int) {
    if segments[index].segment == nil {
      finish(index)
    } else if case .exhausted? = try? peek(index) {
      finish(index)
    }
  }

  mutating func lose(_ range: ClosedRange<UInt64>) {
    guard range.upperBound >= expected, range.upperBound < .max else { return }
    isSettled = false
    lost.insert(max(range.lowerBound, expected)..<(range.upperBound + 1))
  }

  /// The segment is taken away: what is unread of it is lost (the node says which messages those are).
  mutating func drop(_ id: SegmentID) {
    tellOfLeft()
    while let index = segments.firstIndex(where: { $0.held.id == id }) { finish(index) }
  }

  /// Lets go of everything.
  mutating func dropAll() {
    tellOfLeft()
    while !segments.isEmpty { finish(segments.count - 1) }
  }

  // MARK: - Reading

  /// Takes the next message if it lies where the last one did, as nearly always; nil if one must look for it.
  @inline(__always)
  mutating func takeAtHand(limit: Int) -> Message? {
    let index = atHand
    guard index < segments.count, left.isEmpty, lost.isEmpty, !takesAny,
      let (segment, slot) = nextSlot(at: index)
    else { return nil }
    if limit > 1 { return take(slot, at: index, limit: limit) }
    isSettled = false
    expected = slot.sequence + 1
    if pass(slot, at: index) { leaveIfRead(index) }
    return Message(segment: segment, slot: slot)
  }

  /// The slot of the message that is expected, if it is the segment's next.
  @inline(__always)
  private mutating func nextSlot(at index: Int) -> (BorrowedSegment, Slot)? {
    // As a span: each access to an array would see to it first that nobody shares it.
    var segments = segments.mutableSpan
    guard let segment = segments[index].segment, segments[index].peeked == nil else { return nil }
    let next = segments[index].next
    if next >= segments[index].visible {
      guard segments[index].end == nil, let committed = segment.reader.committedInThisLife, committed > next else {
        return nil
      }
      segments[index].visible = committed
    }
    segment.reader.prefetch(at: segments[index].following)
    guard let slot = try? segment.reader.slot(at: next), slot.sequence == expected, slot.sequence < .max else {
      return nil
    }
    return (segment, slot)
  }

  /// Moves past a slot that was taken; returns whether it was the last that was seen.
  @inline(__always)
  private mutating func pass(_ slot: Slot, at index: Int) -> Bool {
    var segments = segments.mutableSpan
    segments[index].next += 1
    segments[index].following = slot.following
    return segments[index].next >= segments[index].visible
  }

  /// Whether a look would find nothing new, as the last one did not: this costs far less.
  var isQuiet: Bool {
    // Mutating: else the compiler copies the cursor to ask it.
    mutating get {
      guard isSettled, left.isEmpty else { return false }
      var index = 0
      while index < segments.count {
        guard segments[index].reader.progress == segments[index].settled else { return false }
        index += 1
      }
      return true
    }
  }

  /// What comes next, without taking it.
  mutating func look() -> Look {
    let found = search()
    if case .nothing = found { isSettled = true } else { isSettled = false }
    return found
  }

  private mutating func search() -> Look {
    if !left.isEmpty { tellOfLeft() }
    if let range = lost.first, range.contains(expected) {
      return .lagged(expected...(range.upperBound - 1))
    }
    var index = 0
    var earliest: (index: Int, slot: Slot)?
    while index < segments.count {
      do throws(CorruptSegment) {
        // Before it is looked at: what is said from here on makes another look find more.
        segments[index].settled = segments[index].reader.progress
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
          identity: segments[earliest.index].reader.identity, slot: segments[earliest.index].next,
          field: .sequence, value: earliest.slot.sequence, allowed: expected...expected)
        return .corrupt(index: nil, gap)
      }
    }
    return hasEnded && segments.allSatisfy { $0.segment == nil } ? .finished : .nothing
  }

  /// Takes the message that ``look()`` found, and as many as follow it in the stream and lie behind it in its segment.
  ///
  /// - Parameter limit: how many at the most; 1 or more.
  mutating func take(_ slot: Slot, at index: Int, limit: Int = 1) -> Message {
    guard let segment = segments[index].segment else { preconditionFailure("a message is taken that was not found") }
    atHand = index
    let reader = segments[index].reader
    let start = segments[index].next
    let count = min(max(segments[index].visible, start + 1) - start, UInt32(clamping: limit))
    var next = start + 1
    var sequence = slot.sequence &+ 1
    // Not beyond the last sequence that there can be: a hostile publisher's could begin anew behind it.
    if count > 1, lost.isEmpty, slot.sequence < .max - UInt64(count) {
      // They rise, so if the last one fits, all do.
      if reader.claimedSequence(at: start + count - 1) == slot.sequence + UInt64(count) - 1 {
        next = start + count
      } else {
        while next < start + count, reader.claimedSequence(at: next) == slot.sequence + UInt64(next - start) {
          next += 1
        }
      }
      sequence = slot.sequence + UInt64(next - start)
    }
    segments[index].next = next
    segments[index].peeked = nil
    leaveIfRead(index)
    advance(to: sequence == 0 ? .max : sequence)
    takesAny = false
    return Message(segment: segment, slot: slot, count: Int(next - start))
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
    if !lost.isEmpty { lost.remove(before: sequence) }
  }

  private enum Peek {
    case slot(Slot)
    case nothingYet
    /// It is read to its end, and will have no further life that the node does not hand over.
    case exhausted
  }

  /// The segment's next slot whose message was not delivered yet.
  private mutating func peek(_ index: Int) throws(CorruptSegment) -> Peek {
    while true {
      if segments[index].segment == nil, !followPublisher(at: index) { return .nothingYet }
      if let slot = segments[index].peeked {
        if slot.sequence >= expected { return .slot(slot) }
        // A publisher that breaks the rules had it in another segment, too, which was read first.
        segments[index].peeked = nil
        segments[index].next += 1
      }
      let next = segments[index].next
      if next >= segments[index].visible {
        // The end first: what is committed after it was read as absent can't be missed then.
        let end = segments[index].end ?? segments[index].reader.sealedCount
        guard let committed = segments[index].reader.committedInThisLife else {
          if followPublisher(at: index) { continue }
          return segments[index].end == nil ? .nothingYet : .exhausted
        }
        segments[index].visible = end.map { min($0, committed) } ?? committed
        if next >= segments[index].visible {
          guard let end else { return .nothingYet }
          if next < end {
            // A publisher that lives says how many there will be just before it says that they are there.
            guard segments[index].end != nil else { return .nothingYet }
            throw missing(from: index, committed: committed, end: end)
          }
          if !isResting(afterReading: index) { return .exhausted }
          rest(index)
          continue
        }
      }
      do throws(CorruptSegment) {
        let slot = try segments[index].reader.slot(at: next)
        if slot.sequence >= expected {
          segments[index].peeked = slot
          return .slot(slot)
        }
        segments[index].next += 1
      } catch {
        // It was all before what this subscription wants, so its publisher did not wait for it.
        guard followPublisher(at: index) else { throw error }
      }
    }
  }

  /// Fewer messages than were sealed: the publisher has taken some back.
  private func missing(from index: Int, committed: UInt32, end: UInt32) -> CorruptSegment {
    CorruptSegment(
      identity: segments[index].reader.identity, slot: committed, field: .index, value: UInt64(committed),
      allowed: UInt64(end)...UInt64(end))
  }

  // MARK: - Lives

  private func borrow(_ held: HeldSegment, _ epoch: UInt32) -> BorrowedSegment {
    BorrowedSegment(held, epoch: epoch, topic: topic, stream: stream)
  }

  private mutating func begin(_ epoch: UInt32, at index: Int) {
    if let segment = segments[index].segment.take() { BorrowedSegment.pass(segment) }
    let held = segments[index].held
    segments[index] = OpenSegment(held, borrow(held, epoch))
  }

  /// Begins to read the life that the segment is in by now, if its publisher has begun another.
  private mutating func followPublisher(at index: Int) -> Bool {
    let epoch = segments[index].held.mapping.epoch
    guard epoch > segments[index].reader.identity.epoch else { return false }
    begin(epoch, at: index)
    return true
  }

  /// Whether the segment's next life may begin without a word of the node.
  private func isResting(afterReading index: Int) -> Bool {
    segments[index].held.isRenewable(in: segments[index].reader.identity.epoch)
  }

  private mutating func rest(_ index: Int) {
    if let segment = segments[index].segment.take() { BorrowedSegment.pass(segment) }
  }

  /// Lets go of a life whose last message was just taken: it is released as soon as its samples are dropped, whether or
  /// not anybody looks for more.
  private mutating func leaveIfRead(_ index: Int) {
    guard segments[index].next >= segments[index].visible,
      let end = segments[index].end ?? segments[index].reader.sealedCount, segments[index].next >= end
    else { return }
    let isResting = isResting(afterReading: index)
    left.append((segments[index].held, segments[index].reader.identity.epoch))
    segments[index].segment = nil
    if !isResting { segments.remove(at: index) }
  }

  /// Says of the lives that were left, but are borrowed still, that they are read.
  private mutating func tellOfLeft() {
    for (held, epoch) in left { held.passIfBorrowed(epoch) }
    left.removeAll(keepingCapacity: true)
  }

  private mutating func finish(_ index: Int) {
    isSettled = false
    if let segment = segments.remove(at: index).segment { BorrowedSegment.pass(segment) }
  }
}
