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
      segments.append(OpenSegment(held, epoch: epoch, topic: topic))
      return leaveIfKnown(segments.count - 1)
    }
    if segments[index].epoch < epoch {
      segments[index].begin(epoch)
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
    if segments[index].epoch < identity.epoch { segments[index].begin(identity.epoch) }
    guard segments[index].epoch == identity.epoch else {
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
  ///
  /// - Parameter looks: how often to look whether it is there.
  @inline(__always)
  mutating func takeAtHand(limit: Int, looks: Int = 1) -> Message? {
    let index = atHand
    guard index < segments.count, left.isEmpty, lost.isEmpty, !takesAny else { return nil }
    let expected = expected
    guard let slot = inPlace(index, { $0.nextSlot(of: expected, looks: looks) }) else { return nil }
    if limit > 1 { return take(slot, at: index, limit: limit) }
    let (segment, isLast) = inPlace(index) { $0.pass(slot) }
    isSettled = false
    self.expected = slot.sequence + 1
    if isLast { leave(index) }
    return segment.map { Message(segment: $0, slot: slot) }
  }

  /// As an element of a span: an array would see to it first that nobody shares it, and copy the segment to look at it.
  @inline(__always)
  private mutating func inPlace<Result, Failure>(
    _ index: Int, _ body: (inout OpenSegment) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var segments = segments.mutableSpan
    return try body(&segments[index])
  }

  private mutating func peek(_ index: Int) throws(CorruptSegment) -> OpenSegment.Peek {
    let expected = expected
    return try inPlace(index) { segment throws(CorruptSegment) in try segment.peek(from: expected) }
  }

  /// Whether a look would find nothing new, as the last one did not: this costs far less.
  var isQuiet: Bool {
    // Mutating: else the compiler copies the cursor to ask it.
    mutating get {
      guard isSettled, left.isEmpty else { return false }
      var segments = segments.mutableSpan
      for index in segments.indices where !segments[index].isQuiet { return false }
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
    atHand = index
    let limit = lost.isEmpty ? limit : 1
    let (segment, count, isRead) = inPlace(index) { open in
      let count = open.run(from: slot, limit: limit)
      open.skip(count)
      return (open.segment, count, open.isRead)
    }
    guard let segment else { preconditionFailure("a message is taken that was not found") }
    if slot.isLast || isRead { leave(index) }
    let (next, isOver) = slot.sequence.addingReportingOverflow(UInt64(count))
    advance(to: isOver ? .max : next)
    takesAny = false
    return Message(segment: segment, slot: slot, count: Int(count))
  }

  /// Moves past the lost messages that ``look()`` found.
  mutating func skip(_ range: ClosedRange<UInt64>) { advance(to: range.upperBound + 1) }

  /// Moves past what ``look()`` found corrupt.
  mutating func skipCorrupt(at index: Int?) {
    isSettled = false
    takesAny = true
    guard let index else { return }
    // Its publisher may begin the next life without a word of the node, so nobody else would tell of that.
    if segments[index].isRenewable { segments[index].letGo() } else { finish(index) }
  }

  private mutating func advance(to sequence: UInt64) {
    expected = sequence
    if !lost.isEmpty { lost.remove(before: sequence) }
  }

  /// Lets go of a life whose last message was just taken: it is released as soon as its samples are dropped, whether or
  /// not anybody looks for more. Its slot may say so before the segment does.
  private mutating func leave(_ index: Int) {
    let (life, isRenewable) = inPlace(index) { ($0.leave(), $0.isRenewable) }
    left.append(life)
    if !isRenewable { segments.remove(at: index) }
  }

  /// Says of the lives that were left, but are borrowed still, that they are read.
  private mutating func tellOfLeft() {
    for (held, epoch) in left { held.passIfBorrowed(epoch) }
    left.removeAll(keepingCapacity: true)
  }

  private mutating func finish(_ index: Int) {
    isSettled = false
    var segment = segments.remove(at: index)
    segment.letGo()
  }
}
