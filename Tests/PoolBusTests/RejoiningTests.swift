import PooledMemory
import Testing

@testable import PoolBus

/// Who is found at the socket when the node is gone need not be a node, and need not answer.
@Suite struct RejoiningTests {
  @Test(.timeLimit(.minutes(1))) func aLoanGivesUpInTimeAlsoIfWhoAcceptedDoesNotAnswer() async throws {
    try await SilentNode.with(whenNodeLost: .rejoin(within: nil)) { node, client in
      let publisher = try Publisher.silent(client, whenFull: .wait(timeout: .zero))
      node.hangUp()
      try await node.accept()
      await #expect(throws: BusError.nodeLost) { _ = try await publisher.loan(byteCount: 8).byteCount }
      client.closeAll()
    }
  }

  @Test(.timeLimit(.minutes(1))) func theSearchEndsInTimeAlsoIfWhoAcceptedDoesNotAnswer() async throws {
    try await SilentNode.with(whenNodeLost: .rejoin(within: .milliseconds(200))) { node, client in
      var events = client.membership.events.makeAsyncIterator()
      node.hangUp()
      var told: [NodeEvent] = []
      while let event = await events.next(isolation: nil) { told.append(event) }
      #expect(told == [.lost, .gaveUp(.nodeLost)])
    }
  }

  /// As rarely as where nobody accepts.
  @Test(.timeLimit(.minutes(1))) func whoHangsUpAtOnceIsAskedEverMoreRarely() async throws {
    try await SilentNode.with(whenNodeLost: .rejoin(within: .milliseconds(300))) { node, client in
      let count = try await node.hangUp { client.loop.state.withLock { $0.loss != nil } }
      #expect(count < 20)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aLargerNodesPoolTakesLargerMessages() async throws {
    let place = Place()
    try place.startNode { $0.contribution = 1 << 20 }
    let publisher = try await place.join().publisher(for: "a")
    let large = 4 << 20
    func expectRefusal(bytes: Int) async {
      let most = SegmentLayout.maximumPayload(inCapacity: bytes, alignment: 64, attributes: 0)
      await #expect(throws: BusError.payloadTooLarge(byteCount: large, limit: most)) {
        _ = try await publisher.loan(byteCount: large).byteCount
      }
    }
    await expectRefusal(bytes: 1 << 20)
    try await place.restartNode()
    try await publisher.loan(byteCount: large).publish()
    try await place.restartNode { $0.quotas = [TopicQuota(pattern: try! TopicPattern("a"), bytes: 2 << 20)] }
    while publisher.core.limit != 2 << 20 { await Task.yield() }
    await expectRefusal(bytes: 2 << 20)
    try await place.end()
  }

  @Test func aSearchIsEverMoreRarelyTried() {
    var search = ClientLoop.Search(start: 1_000)
    #expect(search.next == 1_000)
    var pauses: [UInt64] = []
    for _ in 1...10 {
      search.failed(at: 5_000)
      pauses.append(search.next - 5_000)
    }
    #expect(pauses == pauses.sorted() && pauses[0] < pauses[1] && pauses.last == ClientLoop.Search.longest)
  }
}
