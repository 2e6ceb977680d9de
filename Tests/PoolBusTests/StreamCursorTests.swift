import Platform
import PooledMemory
import Testing
import Vocabulary

@testable import PoolBus

/// The reader's merge: sequences say what comes next, segments where it lies.
@Suite struct StreamCursorTests {
  @Test func messagesComeInTheOrderOfTheirSequencesAcrossSegments() throws {
    var stream = try TestStream()
    let (old, large) = (try stream.lease(), try stream.lease())
    let late = try #require(old.writer.reserve(byteCount: 8))
    stream.publish(in: old)  // 1
    stream.publish(in: large)  // 2, while a loan from the old segment is out
    stream.publish(in: large)  // 3
    stream.commit(late, in: old)  // 4
    stream.publish(in: large)  // 5
    #expect(try stream.readAll() == [1, 2, 3, 4, 5])
  }

  @Test func whatCameBeforeTheFirstSequenceIsSkipped() throws {
    var stream = try TestStream(firstSequence: 3)
    let segment = try stream.lease()
    for _ in 1...4 { stream.publish(in: segment) }
    #expect(try stream.readAll() == [3, 4])
  }

  @Test func aGapWaitsUntilItsSegmentIsHanded() throws {
    var stream = try TestStream()
    let first = try stream.lease(isHanded: false)
    let second = try stream.lease()
    stream.publish(in: first)
    stream.publish(in: second)
    #expect(try stream.readAll() == [])
    stream.hand(first)
    #expect(try stream.readAll() == [1, 2])
  }

  @Test func whatIsLostIsReportedOnceAtItsPlace() throws {
    var stream = try TestStream()
    let (first, second, third) = (try stream.lease(), try stream.lease(isHanded: false), try stream.lease())
    stream.publish(in: first)
    for _ in 2...4 { stream.publish(in: second) }
    stream.publish(in: third)
    stream.cursor.lose(2...4)
    #expect(try stream.readAll() == [1, 5])
    #expect(stream.lags == [2...4])
  }

  @Test func lostRangesThatWereReadAlreadyAreNotReported() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.publish(in: segment)
    #expect(try stream.readAll() == [1])
    stream.cursor.lose(1...2)
    #expect(try stream.readAll() == [])
    #expect(stream.lags == [2...2])
  }

  @Test func aSealedSegmentThatIsReadIsGivenBack() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.publish(in: segment)
    _ = try stream.readAll()
    #expect(stream.cursor.segments.count == 1)
    segment.writer.seal()
    _ = try stream.readAll()
    #expect(stream.cursor.segments.isEmpty)
  }

  /// Nobody need look for more.
  @Test(arguments: [true, false]) func aLifeIsLeftWithItsLastMessage(byTheNodesWord: Bool) throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    stream.publish(in: segment)
    if byTheNodesWord {
      stream.publish(in: segment)
      segment.writer.seal()
      segment.held.sealed(1)
      stream.cursor.sealed(segment.writer.identity, slots: 2)
    } else {
      let room = try #require(segment.writer.reserve(byteCount: 0))
      segment.writer.commit(room, byteCount: 0, sequence: 2, publishTime: 0, elementStride: 0, isLast: true)
    }
    guard case .message(let index, let slot) = stream.cursor.look() else { throw NoMessage() }
    _ = stream.cursor.take(slot, at: index)
    #expect(!stream.hasAcknowledged(segment))
    #expect(stream.cursor.takeAtHand(limit: 1)?.slot.sequence == 2)
    #expect(stream.hasAcknowledged(segment))
  }

  @Test func aRenewedSegmentIsReadOnWithoutAWordOfTheNode() throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    for life: UInt32 in 1...3 {
      if life > 1 { segment.writer.begin(epoch: life, after: stream.nextSequence - 1) }
      for _ in 1...2 { stream.publish(in: segment) }
      #expect(!stream.hasAcknowledged(segment))
      segment.writer.seal()
      #expect(try stream.readAll() == [UInt64(life) * 2 - 1, UInt64(life) * 2])
      #expect(stream.hasAcknowledged(segment))
    }
  }

  @Test func aLifeThatIsBorrowedFromIsNotAcknowledged() throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    stream.publish(in: segment)
    segment.writer.seal()
    guard case .message(let index, let slot) = stream.cursor.look() else { throw NoMessage() }
    var sample: StreamCursor.Message? = stream.cursor.take(slot, at: index)
    guard case .nothing = stream.cursor.look() else { throw NoMessage() }
    #expect(!stream.hasAcknowledged(segment) && sample != nil)
    sample = nil
    #expect(stream.hasAcknowledged(segment))
  }

  /// A segment that was read, renewed by its publisher, and filled again with one message.
  private func streamInItsSecondLife() throws -> (TestStream, TestStream.Segment) {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    stream.publish(in: segment)
    segment.writer.seal()
    #expect(try stream.readAll() == [1])
    segment.writer.begin(epoch: 2, after: 1)
    stream.publish(in: segment)
    segment.writer.seal()
    return (stream, segment)
  }

  /// A publisher can begin a life, and a reader find and read it, before the node's word of it comes.
  @Test func aBorrowedLifeIsNotAcknowledgedWhenTheNodeHandsItLate() throws {
    var (stream, segment) = try streamInItsSecondLife()
    guard case .message(let index, let slot) = stream.cursor.look() else { throw NoMessage() }
    var sample: StreamCursor.Message? = stream.cursor.take(slot, at: index)
    stream.hand(segment, epoch: 2)
    #expect(!stream.hasAcknowledged(segment) && sample != nil)
    sample = nil
    #expect(stream.hasAcknowledged(segment))
  }

  /// The node's word of a life may come when the publisher, and the reader, have gone on.
  @Test func aLateSealOfAnEarlierLifeTakesNothingBack() throws {
    var (stream, segment) = try streamInItsSecondLife()
    #expect(try stream.readAll() == [2])
    segment.held.sealed(1)
    stream.cursor.sealed(SegmentIdentity(id: segment.writer.id, epoch: 1), slots: 1)
    #expect(stream.hasAcknowledged(segment) && segment.held.releasedEpoch == 2)
  }

  @Test func aLifeThatTheNodeSealedIsNotFollowed() throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    stream.publish(in: segment)
    segment.writer.seal()
    segment.held.sealed(1)
    stream.cursor.sealed(segment.writer.identity, slots: 1)
    #expect(try stream.readAll() == [1])
    #expect(stream.cursor.segments.isEmpty)
  }

  /// Who joins while a segment holds only what was before it is not waited for.
  @Test func aJoinerFollowsALifeThatBeganWhileItSkippedTheLast() throws {
    var stream = try TestStream(firstSequence: 3)
    let segment = try stream.lease(place: WakePage.firstPlace)
    for _ in 1...2 { stream.publish(in: segment) }
    segment.writer.seal()
    segment.writer.begin(epoch: 2, after: 2)
    stream.publish(in: segment)
    #expect(try stream.readAll() == [3])
  }

  @Test func messagesTakenBackFromASealedLifeAreCorruption() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.publish(in: segment)
    stream.cursor.sealed(segment.writer.identity, slots: 2)
    stream.cursor.end()
    #expect(try stream.readAll() == [1])
    #expect(stream.corruptions == 1 && stream.cursor.segments.isEmpty)
  }

  @Test func aDeadPublishersSegmentEndsWhereTheNodeSays() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    for _ in 1...3 { stream.publish(in: segment) }
    stream.cursor.sealed(segment.writer.identity, slots: 3)
    stream.cursor.end()
    #expect(try stream.readAll() == [1, 2, 3])
    guard case .finished = stream.cursor.look() else {
      Issue.record("the stream has not ended")
      return
    }
  }

  @Test func aPublisherThatLeavesAGapIsCorruptAndReadingGoesOn() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.publish(in: segment)
    stream.nextSequence = 7
    stream.publish(in: segment)
    segment.writer.seal()
    stream.cursor.end()
    #expect(try stream.readAll() == [1, 7])
    #expect(stream.corruptions == 1)
  }
}

private struct NoMessage: Error {}

/// One stream as its publisher writes it and a subscription reads it, without a node.
struct TestStream {
  var cursor: StreamCursor
  var nextSequence: UInt64 = 1
  var lags: [ClosedRange<UInt64>] = []
  var corruptions = 0
  private var count: UInt64 = 0
  private let topic: TopicName
  private let doze = try? Doze()

  struct Segment {
    let writer: SegmentWriter
    let held: HeldSegment
  }

  init(firstSequence: UInt64 = 1) throws {
    topic = try TopicName("a")
    cursor = StreamCursor(topic: topic, stream: StreamID(rawValue: 1), firstSequence: firstSequence)
  }

  /// - Parameter place: where lives of the segment are acknowledged; 0 for nowhere.
  mutating func lease(isHanded: Bool = true, place: UInt32 = 0) throws -> Segment {
    count += 1
    let identity = SegmentIdentity(id: SegmentID(rawValue: count), epoch: 1)
    let file = try SegmentFile.create(id: identity.id, capacity: 64 << 10)
    let segment = Segment(
      writer: try SegmentWriter(
        mapping: try OwnedDescriptor.duplicating(file.raw), capacity: file.capacity, identity: identity),
      held: HeldSegment(
        mapping: try ReadMapping(
          descriptor: try file.readOnlyDescriptor(), id: identity.id, capacity: file.capacity, populate: false),
        stream: cursor.stream, place: place, subscription: SubscriptionID(rawValue: 1), doze: doze, node: nil))
    if isHanded { hand(segment) }
    return segment
  }

  mutating func hand(_ segment: Segment, epoch: UInt32 = 1) {
    cursor.add(segment.held, epoch: epoch)
  }

  func hasAcknowledged(_ segment: Segment) -> Bool {
    guard let doze, let file = try? OwnedDescriptor.duplicating(doze.descriptor),
      let page = try? WakePageView(mapping: file)
    else { return false }
    return page.hasAcknowledged(segment.writer.identity, at: WakePage.firstPlace)
  }

  mutating func publish(in segment: Segment) {
    guard let reservation = segment.writer.reserve(byteCount: 8) else { return }
    commit(reservation, in: segment)
  }

  /// A slot that can't be.
  func publishNonsense(in segment: Segment) throws {
    let room = try #require(segment.writer.reserve(byteCount: 8))
    segment.writer.commit(room, byteCount: 8, sequence: 0, publishTime: 0, elementStride: 0)
  }

  mutating func commit(_ reservation: Reservation, in segment: Segment) {
    segment.writer.commit(
      reservation, byteCount: 8, sequence: nextSequence, publishTime: 0, elementStride: 0)
    nextSequence += 1
  }

  /// Everything that is there to be read; lags and corruptions are noted.
  mutating func readAll() throws -> [UInt64] {
    var sequences: [UInt64] = []
    while true {
      if let message = cursor.takeAtHand(limit: 1) {
        sequences.append(message.slot.sequence)
        continue
      }
      switch cursor.look() {
      case .message(let index, let slot):
        sequences.append(slot.sequence)
        _ = cursor.take(slot, at: index)
      case .lagged(let range):
        lags.append(range)
        cursor.skip(range)
      case .corrupt(let index, _):
        corruptions += 1
        cursor.skipCorrupt(at: index)
      case .nothing, .finished: return sequences
      }
    }
  }
}
