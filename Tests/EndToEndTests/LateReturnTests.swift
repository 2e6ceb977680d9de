import Glibc
import Platform
import TestProcesses
import Testing

extension EndToEnd {
  /// The node is killed and started again, and not all of its clients are back at once.
  @Suite struct LateReturns {
    /// The node is killed while some processes are stopped, and another one starts.
    ///
    /// - Parameter errors: what becomes the new one's standard error.
    private func replaceNode(
      in place: Workplace, while stopped: [PeerProcess] = [], errors: CInt? = nil
    ) async throws {
      for peer in stopped { peer.signal(SIGSTOP) }
      await place.leaveInspector()
      try await place.node?.kill()
      try await place.startNode(errors: errors)
    }

    @Test("Clients that bring back more than the node has descriptors for wait until it has some")
    func descriptors() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 100000")
        let publisher = try await place.publisher("topic --sizes 100000")
        try await publisher.ask("publish 300", "published 300")
        let clients = [publisher, subscriber]
        let log = try Log()
        try await replaceNode(in: place, while: clients, errors: log.raw)
        let node = try #require(place.node)
        node.limitDescriptors(spare: 6)
        for client in clients { client.signal(SIGCONT) }
        try await log.wait(for: "too few descriptors left")
        node.unlimitDescriptors()
        for client in clients { try await client.line("node-rejoined") }
        try await publisher.ask("publish 100", "published 400")
        try await subscriber.ask("take 400", "took 400 0")
        let lines = try log.lines()
        #expect(lines.count { $0.contains("too few descriptors left") } == 1, "\(lines)")
        #expect(lines.count { $0.contains("need not wait any more") } == 1, "\(lines)")
      }
    }

    @Test("A subscriber that is late misses nothing of a publisher that came before it was back")
    func newPublisher() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("* --sizes 1000")
        try await replaceNode(in: place, while: [subscriber])
        try await place.deliverNewStream(toLate: subscriber)
      }
    }

    /// - Parameter isFinished: the subscriber has looked beyond the end that the node in between told.
    @Test(
      "A publisher that one node has given up, and that the next one gets back, is delivered once",
      arguments: [true, false])
    func givenUp(isFinished: Bool) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("* --sizes 1000")
        let publisher = try await place.publisher("topic --sizes 1000")
        try await publisher.ask("publish 100", "published 100")
        try await subscriber.ask("take 100", "took 100 0")
        try await replaceNode(in: place, while: [publisher])
        try await subscriber.line("node-rejoined")
        try await subscriber.line("node-stream-lost")
        if isFinished {
          subscriber.tell("run")
          try await subscriber.ask("release", "took 0 0")
        }
        try await replaceNode(in: place)
        try await subscriber.line("node-rejoined")
        publisher.signal(SIGCONT)
        try await publisher.line("node-rejoined")
        try await publisher.ask("publish 100", "published 200")
        try await subscriber.ask("take 100", "took 100 0")
      }
    }
  }
}
