import Testing

@testable import PoolBus

/// Who is closed lets go of all that it has mapped, whatever has become of its node, but hands on what was published
/// without one.
@Suite struct ClosingTests {
  private func holdsNothing(_ publisher: Publisher) -> Bool {
    publisher.core.state.withLock { state in
      state.held.isEmpty
        && Lane.Kind.allCases.allSatisfy { kind in
          state[kind].current == nil && state[kind].resting.isEmpty && state[kind].ahead.isEmpty
        }
    }
  }

  @Test(.timeLimit(.minutes(1))) func aPublisherWhoseClientHasGivenUpHoldsNothing() async throws {
    let place = Place()
    try place.startNode()
    let publisher = try await place.join(whenNodeLost: .rejoin(within: .zero)).publisher(for: "a")
    try await publisher.publish(copying: [1])
    await place.stopNode()
    try await place.wait(0) { if case .gaveUp = $0 { true } else { false } }
    #expect(!holdsNothing(publisher))
    publisher.close()
    #expect(holdsNothing(publisher))
    try await place.end()
  }

  @Test func aPublisherThatHasNotHeardThatTheNodeIsBackHoldsNothing() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1])
      publisher.core.nodeIsGone()
      publisher.close()
      #expect(holdsNothing(publisher))
    }
  }

  @Test(.timeLimit(.minutes(1))) func aPublisherThatHasNotHeardThatTheNodeIsGoneHandsOnWhatItHas() async throws {
    let place = Place()
    try place.startNode()
    let publisher = try await place.join().publisher(for: "a")
    let subscriber = try await place.join().subscriber(to: "a")
    try await publisher.publish(copying: [1])
    await place.stopNode()
    try await place.wait(0) { $0 == .lost }
    try await publisher.publish(copying: [2])
    publisher.core.nodeIsBack()
    publisher.close()
    #expect(!holdsNothing(publisher))
    #expect(throws: BusError.closed) { _ = try publisher.tryLoan(byteCount: 8) }
    try place.startNode()
    try await place.wait(0) { if case .rejoined = $0 { true } else { false } }
    #expect(holdsNothing(publisher))
    for byte in [1, 2] as [UInt8] { #expect(try await nextBytes(subscriber)?.bytes == [byte]) }
    try await place.end()
  }

  @Test(.timeLimit(.minutes(1))) func whatATopicKeepsIsThereWhenAllHaveGoneThatHadIt() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a", options: PublisherOptions(retention: Retention(messages: 1)))
      let subscriber = try await bus.subscriber(to: "a")
      try await publisher.publish(copying: [1])
      #expect(try await nextBytes(subscriber)?.bytes == [1])
      subscriber.close()
      publisher.close()
      let late = try await bus.subscriber(to: "a")
      #expect(try await nextBytes(late)?.bytes == [1])
    }
  }

  @Test(arguments: [false, true]) func aLoanThatIsDroppedLaterKeepsNothing(isBatch: Bool) async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      func isRetired() -> Bool { publisher.core.state.withLock { $0.held.values.contains(where: \.isRetired) } }
      func close() async throws {
        while !isRetired() { try await publisher.publish(copying: [UInt8](repeating: 1, count: 10_000)) }
        publisher.close()
      }
      if isBatch {
        let loan = try await publisher.loanBatch(count: 2, byteCount: 8)
        try await close()
        _ = consume loan
      } else {
        let loan = try await publisher.loan(byteCount: 8)
        try await close()
        _ = consume loan
      }
      #expect(holdsNothing(publisher))
    }
  }

  @Test(.timeLimit(.minutes(1))) func nothingIsOpenedOnAClosedBus() async throws {
    let place = Place()
    try place.startNode()
    let bus = try await place.join()
    await bus.close()
    await #expect(throws: BusError.closed) { _ = try await bus.publisher(for: "a") }
    await #expect(throws: BusError.closed) { _ = try await bus.subscriber(to: "a") }
    await #expect(throws: BusError.closed) { _ = try await bus.inspect() }
    try await place.end()
  }

  @Test(.timeLimit(.minutes(1))) func whatIsUnansweredFailsWhenTheBusIsClosed() async throws {
    try await SilentNode.with { node, client in
      async let books = client.inspect()
      try await node.hear()
      client.closeAll()
      do {
        _ = try await books
        Issue.record("there is an answer")
      } catch {
        #expect(error as? BusError == .closed)
      }
    }
  }

  /// Its answer was on its way to it at that moment.
  @Test func whatIsOpenedAsTheBusIsClosedIsClosed() async throws {
    try await SilentNode.with { node, client in
      client.closeAll()
      let publisher = PublisherCore(
        topic: try TopicName("a"), stream: StreamID(rawValue: 1), limit: 1 << 20, options: PublisherOptions(),
        node: client, announcer: try client.membership.announcer())
      client.loop.add(publisher)
      #expect(publisher.state.withLock { $0.ended } == .closed)
    }
  }
}
