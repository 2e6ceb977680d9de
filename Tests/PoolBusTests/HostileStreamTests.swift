import Testing
import Vocabulary

@testable import PoolBus

/// A publisher that breaks the rules of sequences: its readers go forward only, and do not get stuck.
@Suite struct HostileStreamTests {
  @Test func aSequenceInTwoSegmentsIsDeliveredOnce() throws {
    var stream = try TestStream()
    let (first, second) = (try stream.lease(), try stream.lease())
    stream.nextSequence = 2
    stream.publish(in: first)  // Looked at before its turn, and kept in mind.
    #expect(try stream.readAll() == [])
    stream.nextSequence = 1
    for _ in 1...3 { stream.publish(in: second) }  // Its turn comes in another segment.
    stream.nextSequence = 4
    stream.publish(in: first)
    #expect(try stream.readAll() == [1, 2, 3, 4])
  }

  /// Also the first message's slot, of which the batch has a copy.
  @Test func whatABatchHasOfALifeThatIsOverIsCorrupt() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    for _ in 1...2 { stream.publish(in: segment) }
    let message = stream.cursor.takeAtHand(limit: 2)
    let batch = SampleBatch(try #require(message))
    #expect(batch.count == 2)
    segment.writer.begin(epoch: 2)
    for index in 0..<2 {
      var failures = 0
      do { _ = try batch.publishTime(at: index) } catch { failures += 1 }
      do { _ = try batch.withBytes(at: index) { $0.byteCount } } catch { failures += 1 }
      #expect(failures == 2)
    }
  }

  /// Each life of such a segment is released by a message of its own: those that nobody handed are nobody's.
  @Test func aSegmentWithoutAPlaceIsReadInTheLivesThatTheNodeHands() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.publish(in: segment)
    #expect(try stream.readAll() == [1])
    segment.writer.begin(epoch: 2)
    stream.publish(in: segment)
    #expect(try stream.readAll() == [])
    #expect(segment.held.releasedEpoch == 1)
    stream.hand(segment, epoch: 2)
    #expect(try stream.readAll() == [2])
  }

  @Test func aRunEndsAtTheLastSequenceThatThereCanBe() throws {
    var stream = try TestStream(firstSequence: .max)
    let segment = try stream.lease()
    for sequence in [UInt64.max, 0, 1, 2] {
      let room = try #require(segment.writer.reserve(byteCount: 8))
      segment.writer.commit(room, byteCount: 8, sequence: sequence, publishTime: 0, elementStride: 0)
    }
    guard case .message(let index, let slot) = stream.cursor.look() else {
      Issue.record("there is nothing to read")
      return
    }
    #expect(stream.cursor.take(slot, at: index, limit: 64).count == 1)
    #expect(stream.cursor.expected == .max)
  }
}
