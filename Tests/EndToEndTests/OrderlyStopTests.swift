import Glibc
import TestProcesses
import Testing

extension EndToEnd {
  /// `poolbusd` is told to stop, and started again.
  @Suite struct OrderlyStops {
    private func stop(_ daemon: PeerProcess, in place: Workplace) async throws {
      await place.leaveInspector()
      daemon.signal(SIGTERM)
      #expect(try await daemon.exit() == .code(0))
    }

    /// Ends the clients, and then the daemon; nothing is held, and nothing left.
    private func end(_ clients: [PeerProcess], _ daemon: PeerProcess, in place: Workplace) async throws {
      for client in clients { #expect(try await client.end() == .code(0)) }
      try await place.books("the pool is empty") { $0.pool.free == place.contribution && $0.clients.count == 1 }
      try await stop(daemon, in: place)
      #expect(!File.exists(place.socket))
    }

    @Test("What was published before the stop, and not read, is delivered by the next node, once and in order")
    func unread() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        let first = try await place.startDaemon()
        let subscriber = try await place.subscriber("topic --sizes 5000")
        let publisher = try await place.publisher("topic --sizes 5000")
        try await publisher.ask("publish 4000", "published 4000")
        try await subscriber.ask("take 1000", "took 1000 0")
        try await stop(first, in: place)
        for peer in [publisher, subscriber] { try await peer.line("node-lost") }
        let second = try await place.startDaemon()
        for peer in [publisher, subscriber] { try await peer.line("node-rejoined") }
        try await publisher.ask("publish 1000", "published 5000")
        try await subscriber.ask("take 4000", "took 4000 0")
        try await end([publisher, subscriber], second, in: place)
      }
    }

    @Test("Who is not back yet when the next node is there misses nothing of publishers that are new")
    func newPublisher() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        let first = try await place.startDaemon()
        let subscriber = try await place.subscriber("* --sizes 1000")
        subscriber.signal(SIGSTOP)
        try await stop(first, in: place)
        let second = try await place.startDaemon()
        let others = try await place.deliverNewStream(toLate: subscriber)
        try await end([subscriber] + others, second, in: place)
      }
    }
  }
}
