import Glibc
import TestProcesses
import Testing

extension EndToEnd {
  @Suite struct Nodes {
    @Test("Two nodes can't take one socket: the second says who has it")
    func second() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let first = try #require(place.node)
        let second = try place.peer("node --contribution 1000000")
        let why = await #expect(throws: PeerFailure.self) { try await second.line("serving") }
        #expect(why?.what.contains("\(first.processID)") == true)
        #expect(try await second.exit() == .code(1))
      }
    }

    @Test(
      "The socket that a killed node left is no obstacle, not even with a forked child that holds it",
      arguments: [false, true])
    func staleSocket(withChild: Bool) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("topic")
        let subscriber = try await place.subscriber("topic")
        if withChild, let child = try await place.node?.ask("fork", "forked").first.flatMap({ pid_t($0) }) {
          place.adopt(orphan: child)
        }
        try await place.node?.kill()
        await place.leaveInspector()
        #expect(File.exists(place.socket))
        for peer in [publisher, subscriber] { #expect(try await peer.end() == .code(0)) }

        try await place.startNode()
        let next = try await place.subscriber("topic")
        try await place.publisher("topic").ask("publish 10", "published 10")
        try await next.ask("take 10", "took 10 0")
      }
    }

    @Test(
      "Who does not rejoin learns that the node was killed: publishers at their next lease, subscribers when they have read all"
    )
    func killed() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 1000 --no-rejoin")
        let publisher = try await place.publisher("topic --sizes 1000 --no-rejoin")
        try await publisher.ask("publish 10", "published 10")
        try await subscriber.ask("take 10", "took 10 0")
        try await place.node?.kill()
        await place.leaveInspector()

        // What is leased can still be filled, and read.
        let failed = try await publisher.ask("publish 1000000", "failed")
        #expect(failed.joined(separator: " ").contains("the node is gone"))
        let published = try #require(try await publisher.line("published").first.flatMap { Int($0) })
        subscriber.tell("take 1000000")
        #expect(try await subscriber.line("failed").joined(separator: " ").contains("the node is gone"))
        try await subscriber.line("took \(published - 10) 0")
        for peer in [publisher, subscriber] { #expect(try await peer.end() == .code(0)) }
        try await place.startNode()
      }
    }

    @Test("Without a node, one of two processes that connect at the same moment starts one, and both work")
    func embedded() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        for isKilled in [false, true, false] {
          let subscriber = try place.peer("subscribe topic --embed \(place.contribution)")
          let publisher = try place.peer("publish topic --embed \(place.contribution)")
          try await subscriber.line("subscribed")
          try await publisher.line("publishing")
          try await place.joinInspector()
          let owner = try await place.books().pool.nodeProcessID
          #expect([subscriber.processID, publisher.processID].contains(owner))
          try await publisher.ask("publish 1000", "published 1000")
          try await subscriber.ask("take 1000", "took 1000 0")
          await place.leaveInspector()

          // In the next round the process with the node is gone, orderly or not, and another starts one.
          let embedding = owner == publisher.processID ? publisher : subscriber
          let joined = embedding === publisher ? subscriber : publisher
          #expect(try await joined.end() == .code(0))
          if isKilled { try await embedding.kill() } else { #expect(try await embedding.end() == .code(0)) }
        }
      }
    }

    @Test("When the process with the embedded node is gone, who does not rejoin can join a new one")
    func embeddedIsGone() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        let first = try await place.publisher("topic --embed \(place.contribution)")
        let survivor = try await place.subscriber("topic --no-rejoin")
        try await first.ask("publish 10", "published 10")
        try await survivor.ask("take 10", "took 10 0")
        try await first.kill()
        #expect(try await survivor.ask("take 1", "failed").joined(separator: " ").contains("the node is gone"))
        let second = try await place.publisher("topic --embed \(place.contribution)")
        let next = try await place.subscriber("topic")
        try await second.ask("publish 10", "published 10")
        try await next.ask("take 10", "took 10 0")
        #expect(try await next.end() == .code(0))
      }
    }
  }
}
