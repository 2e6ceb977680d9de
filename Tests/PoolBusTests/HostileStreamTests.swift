import Platform
import PooledMemory
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

  /// Its publisher sees that the life is read, and begins the next one: nobody tells of that.
  @Test func behindACorruptLifeTheNextOneIsRead() throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    for life: UInt32 in 1...3 {
      if life > 1 { segment.writer.begin(epoch: life, after: stream.nextSequence - 1) }
      stream.publish(in: segment)
      try stream.publishNonsense(in: segment)
      segment.writer.seal()
      #expect(try stream.readAll() == [UInt64(life)])
      #expect(stream.corruptions == life && stream.hasAcknowledged(segment))
    }
    // The node takes it away: it waits for a release of this life, and of no other.
    segment.held.sealed(3)
    stream.cursor.sealed(segment.writer.identity, slots: 2)
    #expect(stream.cursor.segments.isEmpty && segment.held.releasedEpoch == 3)
  }

  /// The node may seal a life that was never looked at.
  @Test func theLifeBehindACorruptOneIsReleasedWhenTheNodeSealsIt() throws {
    var stream = try TestStream()
    let segment = try stream.lease(place: WakePage.firstPlace)
    try stream.publishNonsense(in: segment)
    segment.writer.seal()
    #expect(try stream.readAll() == [])
    segment.writer.begin(epoch: 2)
    stream.publish(in: segment)
    segment.writer.seal()
    segment.held.sealed(2)
    stream.cursor.sealed(segment.writer.identity, slots: 1)
    #expect(try stream.readAll() == [1])
    #expect(stream.cursor.segments.isEmpty && segment.held.releasedEpoch == 2)
  }

  @Test func whatIsSkippedWithoutASegmentIsLookedForAgain() throws {
    var stream = try TestStream()
    let segment = try stream.lease()
    stream.nextSequence = 3
    stream.publish(in: segment)
    #expect(try stream.readAll() == [])
    let wasQuiet = stream.cursor.isQuiet
    // What came before can't be mapped.
    stream.cursor.skipCorrupt(at: nil)
    let isQuiet = stream.cursor.isQuiet
    #expect(wasQuiet && !isQuiet)
    #expect(try stream.readAll() == [3])
  }

  /// The reader goes on with its publisher, from segment to segment and from life to life.
  @Test(.timeLimit(.minutes(1))) func behindACorruptSlotReadingGoesOn() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func publish() async throws { try await publisher.publish(copying: [UInt8](repeating: 1, count: 20_000)) }
      try await publish()
      #expect(try await nextBytes(subscriber)?.sequence == 1)
      try publisher.core.state.withLock { state in
        // As short of memory, it does not come to larger segments, and writes this one anew.
        state.small.sizing.shrink(now: Clock.monotonicNanoseconds, limit: publisher.core.limit)
        let current = state.small.current
        let log = try #require(current?.log)
        let room = try #require(log.reserve(byteCount: 8))
        log.commit(room, byteCount: 8, sequence: 0, publishTime: 0, elementStride: 0)
      }
      await #expect { try await nextBytes(subscriber) } throws: { error in
        if case BusError.corruptSegment = error { true } else { false }
      }
      // What follows in that life is skipped with it.
      var last: UInt64?
      for _ in 1...100 {
        try await publish()
        while let sample = try subscriber.tryNext() {
          if let last { #expect(sample.sequence == last + 1) }
          last = sample.sequence
        }
      }
      while last != 101 { last = try await nextBytes(subscriber)?.sequence }
    }
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
