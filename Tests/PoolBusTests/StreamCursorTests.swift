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

/// One stream as its publisher writes it and a subscription reads it, without a node.
struct TestStream {
  var cursor: StreamCursor
  var nextSequence: UInt64 = 1
  var lags: [ClosedRange<UInt64>] = []
  var corruptions = 0
  private var count: UInt64 = 0
  private let topic: TopicName

  struct Segment {
    let writer: SegmentWriter
    let reader: SegmentReader
  }

  init(firstSequence: UInt64 = 1) throws {
    topic = try TopicName("a")
    cursor = StreamCursor(topic: topic, stream: StreamID(rawValue: 1), firstSequence: firstSequence)
  }

  mutating func lease(isHanded: Bool = true) throws -> Segment {
    count += 1
    let identity = SegmentIdentity(id: SegmentID(rawValue: count), epoch: 1)
    let file = try SegmentFile.create(id: identity.id, capacity: 64 << 10)
    let segment = Segment(
      writer: try SegmentWriter(
        mapping: try OwnedDescriptor.duplicating(file.raw), capacity: file.capacity, identity: identity),
      reader: try SegmentReader(
        mapping: try file.readOnlyDescriptor(), capacity: file.capacity, identity: identity, populate: false))
    if isHanded { hand(segment) }
    return segment
  }

  mutating func hand(_ segment: Segment) {
    cursor.add(
      BorrowedSegment(
        reader: segment.reader, topic: topic, stream: cursor.stream, onPass: {}, onRelease: {}))
  }

  mutating func publish(in segment: Segment) {
    guard let reservation = segment.writer.reserve(byteCount: 8) else { return }
    commit(reservation, in: segment)
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
