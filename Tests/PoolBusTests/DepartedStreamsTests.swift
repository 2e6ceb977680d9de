import Testing
import Vocabulary

@testable import PoolBus

/// What a subscription keeps in mind of streams that may go on at a later node.
@Suite struct DepartedStreamsTests {
  private func cursor(_ stream: UInt64, at sequence: UInt64) throws -> StreamCursor {
    StreamCursor(topic: try TopicName("a"), stream: StreamID(rawValue: stream), firstSequence: sequence)
  }

  @Test func whatComesBackIsWhereItWas() throws {
    var departed = DepartedStreams()
    departed.add(try cursor(7, at: 12))
    #expect(departed.remove(StreamID(rawValue: 8)) == nil)
    #expect(departed.remove(StreamID(rawValue: 7))?.expected == 12)
    #expect(departed.all.isEmpty)
  }

  @Test func ofTooManyTheOldestAreForgotten() throws {
    var departed = DepartedStreams()
    for stream in 1...UInt64(DepartedStreams.most + 1) { departed.add(try cursor(stream, at: stream)) }
    #expect(departed.all.count == DepartedStreams.most && departed.remove(StreamID(rawValue: 1)) == nil)
    #expect(departed.remove(StreamID(rawValue: 2))?.expected == 2)
  }

  @Test func whatIsMissingWhenItGoesOnIsALag() throws {
    var cursor = try cursor(1, at: 5)
    cursor.end(mayReturn: true)
    guard case .finished = cursor.look() else { throw Unexpected() }
    cursor.goOn(from: 9)
    guard case .lagged(5...8) = cursor.look() else { throw Unexpected() }
    cursor.skip(5...8)
    guard case .nothing = cursor.look() else { throw Unexpected() }
    #expect(cursor.expected == 9 && !cursor.hasEnded && !cursor.mayReturn)
    // What was read already is not lost, and not wanted again.
    cursor.goOn(from: 3)
    guard case .nothing = cursor.look() else { throw Unexpected() }
    #expect(cursor.expected == 9)
  }

  private struct Unexpected: Error {}
}
