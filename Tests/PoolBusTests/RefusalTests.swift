import PoolNode
import PooledMemory
import Testing

@testable import PoolBus

/// What the bus refuses, and by which error.
@Suite struct RefusalTests {
  @Test(.timeLimit(.minutes(1))) func oneTaskAtATimeWaitsForAMessage() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      let subscriber = try await bus.subscriber(to: "a", options: SubscriberOptions(waiting: .block))
      // By its answer, the node has said all that would wake the first.
      _ = try await bus.inspect()
      let first = Task { try await nextBytes(subscriber)?.bytes }
      await subscriber.untilSomebodyWaits()
      await #expect(throws: BusError.alreadyWaiting) { _ = try await subscriber.next()?.sequence }
      try await publisher.publish(copying: [1])
      #expect(try await first.value == [1])
    }
  }

  @Test func whatTheNodeDoesNotAllowIsToldAsSuch() async throws {
    let place = Place()
    let rule = try AccessRule("allow publish allowed to everyone")
    try place.startNode {
      $0.clientLimits.publishers = 1
      $0.access = AccessList([rule])
    }
    let bus = try await place.join()
    let publisher = try await bus.publisher(for: "allowed")
    await #expect { _ = try await bus.publisher(for: "allowed") } throws: { error in
      if case BusError.limitReached(let why) = error { why.contains("1 publishers") } else { false }
    }
    func expectNotPermitted(_ what: String, _ wish: () async throws -> Void) async {
      await #expect {
        try await wish()
      } throws: { error in
        if case BusError.notPermitted(let why) = error { why.contains(what) } else { false }
      }
    }
    await expectNotPermitted("publish other") { _ = try await bus.publisher(for: "other") }
    await expectNotPermitted("subscribe allowed") { _ = try await bus.subscriber(to: "allowed") }
    await expectNotPermitted("inspect") { _ = try await bus.inspect() }
    // What was refused has harmed nothing.
    try await publisher.publish(copying: [1])
    try await place.end()
  }

  // MARK: - Attributes

  @Test func attributesThatCannotBeSentAreRefusedByName() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      for (attributes, field) in [
        (MessageAttributes(traceParent: "today"), "trace_parent"),
        (MessageAttributes(user: ["a": String(repeating: "b", count: 20_000)]), "value"),
      ] {
        await #expect {
          _ = try await publisher.loan(byteCount: 1, attributes: attributes).byteCount
        } throws: { error in
          if case BusError.invalidAttributes(let why) = error { why.contains(field) } else { false }
        }
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func attributesThatAreNoneAreToldAndThePayloadIsRead() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func publishNonsense() async throws {
        // So that there is room at hand.
        try await publisher.publish(copying: [1])
        #expect(try await nextBytes(subscriber)?.bytes == [1])
        var wish = try publisher.core.wish(
          byteCount: 1, alignment: 64, attributes: MessageAttributes(contentType: "text/plain"))
        wish.attributes = [UInt8](repeating: 0xff, count: wish.attributes.count)
        guard case .reserved(let segment, let room) = try publisher.core.attempt(wish, { wish.reserve(in: $0) }) else {
          Issue.record("there is no room at hand")
          return
        }
        try Loan(segment: segment, reservation: room).publish()
      }
      func isInvalid(_ error: any Error) -> Bool {
        if case BusError.invalidAttributes = error { true } else { false }
      }

      try await publishNonsense()
      let held = try #require(await firstSample(subscriber))
      held.check { sample in
        #expect { _ = try sample.attributes() } throws: { isInvalid($0) }
        #expect(sample.byteCount == 1)
      }
      try await publishNonsense()
      guard let batch = try await subscriber.nextBatch() else {
        Issue.record("the subscriber is closed")
        return
      }
      do {
        _ = try batch.attributes(at: 0)
        Issue.record("nonsense was taken for attributes")
      } catch {
        #expect(isInvalid(error))
      }
      let byteCount = try batch.withBytes(at: 0) { $0.byteCount }
      #expect(byteCount == 1)
    }
  }

  @Test(.timeLimit(.minutes(1))) func eachMessageOfABatchHasItsOwnAttributes() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      let published = [MessageAttributes(contentType: "text/plain"), .none, MessageAttributes(user: ["key": "value"])]
      for attributes in published { try await publisher.publish(copying: [1], attributes: attributes) }
      guard let batch = try await subscriber.nextBatch() else {
        Issue.record("the subscriber is closed")
        return
      }
      var received: [MessageAttributes] = []
      for index in 0..<batch.count { received.append(try batch.attributes(at: index)) }
      #expect(received == published)
    }
  }

  /// However large the pool is, a segment's slots can speak of so much.
  @Test func aMessageIsNoLargerThanTheLargestSegment() async throws {
    try await SilentNode.with { _, client in
      let publisher = try Publisher.silent(client, whenFull: .fail, limit: 1 << 40)
      let most = SegmentLayout.maximumPayload(inCapacity: SegmentLayout.maximumCapacity, alignment: 64, attributes: 0)
      #expect(throws: BusError.payloadTooLarge(byteCount: most + 1, limit: most)) {
        _ = try publisher.tryLoan(byteCount: most + 1)
      }
      #expect(try publisher.core.wish(byteCount: most, alignment: 64, attributes: .none).lane == .large)
      let tooMany = BusError.payloadTooLarge(byteCount: 1_000_000 << 20, limit: SegmentLayout.maximumCapacity)
      #expect(throws: tooMany) { try publisher.core.wish(count: 1_000_000, byteCount: 1 << 20).capacity }
    }
  }
}
