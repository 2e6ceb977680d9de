import BusProtocol
import Platform
import Testing

@testable import PoolBus

/// The API as an application uses it, with a node within the process and the transport's twin instead of ZeroMQ.
@Suite struct BusTests {
  @Test func aMessageArrivesWithAllThatWasSaidOfIt() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "camera/*")
      let publisher = try await bus.publisher(for: "camera/front")
      let attributes = MessageAttributes(
        contentType: "image/jpeg", traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        user: ["exposure": "8 ms"])
      try await publisher.publish(copying: [1, 2, 3], attributes: attributes)
      let sample = try #require(await nextBytes(subscriber))
      #expect(sample.bytes == [1, 2, 3])
      #expect(sample.attributes == attributes)
      #expect(sample.topic.text == "camera/front" && sample.sequence == 1 && sample.stream == publisher.stream)
      #expect(sample.publishTime > 1_700_000_000_000_000_000)
    }
  }

  @Test func elementsAreReadAsWhatTheyWerePublishedAs() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "tensor")
      let publisher = try await bus.publisher(for: "tensor")
      var loan = try await publisher.loan(of: Float.self, count: 3)
      for index in 0..<3 { loan.elements[index] = Float(index) / 2 }
      try loan.publish()
      let sample = try #require(await firstSample(subscriber))
      try sample.check { sample in
        let floats = try sample.elements(as: Float.self)
        #expect(floats.count == 3 && floats[2] == 1)
        let last = try sample.withElements(as: Float.self) { $0[2] }
        #expect(last == 1)
        #expect(throws: BusError.self) { _ = try sample.elements(as: Double.self).count }
        #expect(throws: BusError.self) { _ = try sample.elements(as: UInt8.self).count }
      }
    }
  }

  @Test func bytesThatAreNoWholeElementsAreAnError() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1, 2, 3])
      let sample = try #require(await firstSample(subscriber))
      try sample.check { sample in
        #expect { _ = try sample.elements(as: UInt16.self).count } throws: { "\($0)".contains("no multiple") }
        let count = try sample.elements(as: UInt8.self).count
        #expect(count == 3 && sample.withBytes { $0.byteCount } == 3)
      }
    }
  }

  @Test func aBatchIsPublishedAndTakenAtOnce() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var batch = try await publisher.loanBatch(count: 100, byteCount: 3)
      for index in 0..<100 {
        var bytes = batch.mutableBytes(at: index)
        bytes.storeBytes(of: UInt8(index), toByteOffset: 2, as: UInt8.self)
      }
      #expect(try subscriber.tryNext() == nil)
      try batch.publish()
      do { _ = try await publisher.loanBatch(count: 7, byteCount: 64).count }
      try await publisher.publish(copying: [200])
      let some = try #require(await HeldBatch(subscriber.nextBatch(limit: 30)))
      #expect(some.firstSequence == 1 && some.lastBytes == (0..<30).map { UInt8($0) })
      let rest = try #require(await HeldBatch(subscriber.nextBatch()))
      #expect(rest.firstSequence == 31 && rest.lastBytes == (30..<100).map { UInt8($0) } + [200])
      await #expect(throws: BusError.self) { _ = try await publisher.loanBatch(count: .max, byteCount: .max).count }
      await #expect(throws: BusError.invalidCount(0)) {
        _ = try await publisher.loanBatch(count: 0, byteCount: 1).count
      }
    }
  }

  @Test func evictOldestReportsWhatWasLost() async throws {
    try await withBus(contribution: 256 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a", options: PublisherOptions(whenFull: .evictOldest))
      for _ in 1...40 { try await publisher.publish(copying: [UInt8](repeating: 1, count: 30_000)) }
      var (received, lost): (UInt64, UInt64) = (0, 0)
      while received + lost < 40 {
        do {
          guard let sample = try await subscriber.next() else { break }
          received += 1
          #expect(sample.sequence == received + lost)
        } catch BusError.lagged(let lag) {
          lost += lag.messages
        }
      }
      #expect(received + lost == 40 && lost > 0 && received > 0)
      #expect(subscriber.laggedMessages == lost)
    }
  }

  @Test func lateJoinersGetWhatIsRetained() async throws {
    try await withBus { bus in
      let retention = PublisherOptions(retention: Retention(messages: 3))
      let publisher = try await bus.publisher(for: "a", options: retention)
      for number in 1...10 { try await publisher.publish(copying: [UInt8(number)]) }
      let late = try await bus.subscriber(to: "a")
      let latest = try await bus.subscriber(to: "a", options: SubscriberOptions(receivesRetained: false))
      try await publisher.publish(copying: [11])
      var received: [UInt8] = []
      while received.last != 11, let next = try await nextBytes(late) { received += next.bytes }
      #expect(received == [8, 9, 10, 11])
      #expect(try await nextBytes(latest)?.bytes == [11])
    }
  }

  @Test func aSegmentThatCannotBeMappedIsToldOnceAndReadingGoesOn() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1])
      #expect(try await nextBytes(subscriber)?.bytes == [1])
      let handed = SegmentHanded(
        subscription: subscriber.subscription, stream: publisher.stream,
        segment: SegmentIdentity(id: SegmentID(rawValue: 1), epoch: 1), capacity: 8192, warm: false)
      let file = try MemoryFile.create(name: "no-segment", byteCount: 4096)
      subscriber.core.hand(handed, descriptor: file)
      await #expect { try await nextBytes(subscriber) } throws: { error in
        if case BusError.corruptSegment = error { true } else { false }
      }
      try await publisher.publish(copying: [2])
      #expect(try await nextBytes(subscriber)?.bytes == [2])
    }
  }
}
