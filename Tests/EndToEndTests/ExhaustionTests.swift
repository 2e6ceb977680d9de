import Glibc
import PoolBus
import TestProcesses
import Testing

extension EndToEnd {
  /// Descriptors that run out, on either side.
  @Suite struct Exhaustion {
    private static let contribution: UInt64 = 16 << 20
    private static let size = 64 << 10
    private static let messages = 5 * Int(contribution) / size

    @Test("A subscriber without descriptors is told so, and nobody waits for what it was promised")
    func subscriber() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let starved = try await place.subscriber("topic --sizes \(Self.size)")
        let other = try await place.subscriber("topic --sizes \(Self.size)")
        let publisher = try await place.publisher("topic --sizes \(Self.size)")
        starved.tell("take \(Self.messages)")
        other.tell("take \(Self.messages)")
        starved.limitDescriptors(spare: 0)
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages)")
        try await other.line("took \(Self.messages) 0")
        let why = try await starved.line("failed").joined(separator: " ")
        #expect(why.contains("descriptor"), "\(why)")
        starved.unlimitDescriptors()
      }
    }

    @Test("A node that had no descriptor for a client lets it in as soon as it has one")
    func joining() async throws {
      try await Workplace.with(contribution: Self.contribution, node: false) { place in
        let log = try Log()
        let node = try await place.startNode(errors: log.raw)
        node.limitDescriptors(spare: 0)
        let subscriber = try place.peer("subscribe topic")
        try await log.wait(for: "too few descriptors left")
        #expect(!subscriber.hasSaid("joined"))
        node.unlimitDescriptors()
        try await subscriber.line("subscribed")
        try await place.publisher("topic").ask("publish 10", "published 10")
        try await subscriber.ask("take 10", "took 10 0")
      }
    }

    @Test("Who subscribes while the node has no descriptor to spare is served, and stays a client")
    func subscribing() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let node = try #require(place.node)
        let publisher = try await place.publisher("topic")
        try await publisher.ask("publish 1", "published 1")
        let bus = try await Bus.connect(BusConfiguration(socketPath: place.socket, name: "late", embeddedNode: nil))
        node.limitDescriptors(spare: 0)
        let subscriber = try await bus.subscriber(to: "topic")
        try await publisher.ask("publish 1", "published 2")
        #expect(try await subscriber.next()?.sequence == 2)
        node.unlimitDescriptors()
        await bus.close()
      }
    }

    @Test(
      "Where a control group limits the node's memory, publishers are told so, and the kernel kills nobody",
      .enabled(if: MemoryLimit.isPossible, "no control group with a memory limit can be made here"))
    func controlGroup() async throws {
      let limit = try #require(MemoryLimit(byteCount: 192 << 20))
      try await Workplace.with(contribution: 1 << 30, node: false) { place in
        let command = "node --socket \(place.socket) --contribution \(place.contribution)"
        let node = try place.program(["/bin/bash", "-c", "\(limit.entering) && exec \(Executable.peer) \(command)"])
        try await node.line("serving")
        let hoarder = try await place.subscriber("topic --sizes 1048576")
        let publisher = try await place.publisher("topic --sizes 1048576")
        let why = try await publisher.ask("publish 1000", "failed").joined(separator: " ")
        #expect(why.contains("memory"), "\(why)")
        let published = try #require(try await publisher.line("published").first.flatMap { Int($0) })
        try await hoarder.ask("take \(published)", "took \(published) 0")
        try await publisher.ask("publish 5", "published \(published + 5)")
        try await hoarder.ask("take 5", "took 5 0")
        for peer in [publisher, hoarder, node] { #expect(try await peer.end() == .code(0)) }
      }
    }

    @Test("A process that joins and leaves again and again costs the node no descriptor")
    func comingAndGoing() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let node = try #require(place.node)
        let before = node.descriptors.count
        for round in 0..<20 {
          let bus = try await Bus.connect(
            BusConfiguration(socketPath: place.socket, name: "guest \(round)", embeddedNode: nil))
          let subscriber = try await bus.subscriber(to: "topic")
          let publisher = try await bus.publisher(for: "topic")
          try await publisher.publish(copying: "hello")
          #expect(try await subscriber.next()?.byteCount == 5)
          await bus.close()
        }
        try await place.books("the guests are forgotten") {
          $0.clients.count == 1 && node.descriptors.count <= before
        }
      }
    }

    @Test("A process without descriptors can't join, and is told why")
    func client() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let peer = try place.peer("subscribe topic", under: "prlimit --nofile=12:12")
        let why = await #expect(throws: PeerFailure.self) { try await peer.line("subscribed") }
        #expect(why?.what.contains("descriptors left") == true, "\(why?.what ?? "")")
        #expect(try await peer.exit() == .code(1))
      }
    }
  }
}
