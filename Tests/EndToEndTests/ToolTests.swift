import Glibc
import Platform
import PoolBus
import TestProcesses
import Testing

extension EndToEnd {
  /// `poolbusd` and `busctl`, when somebody is gone whom they talk to.
  @Suite struct Tools {
    @Test("A node whose log nobody reads any more serves on, whoever breaks the protocol")
    func logWithoutReader() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        var ends: [CInt] = [-1, -1]
        // SAFETY: the call fills both elements.
        try #require(unsafe pipe(&ends) == 0)
        close(ends[0])
        let daemon = try place.program(
          [
            "\(Executable.folder)/poolbusd", "--socket", place.socket, "--contribution", "\(place.contribution)",
            "--log-level", "info",
          ], errors: ends[1])
        close(ends[1])
        try await join(daemon, in: place)
        let liar = try place.peer("lie nothing")
        try await liar.line("refused")
        let subscriber = try await place.subscriber("topic")
        let publisher = try await place.publisher("topic")
        try await publisher.ask("publish 10", "published 10")
        try await subscriber.ask("take 10", "took 10 0")
        for peer in [liar, publisher, subscriber] { #expect(try await peer.end() == .code(0)) }
        await place.leaveInspector()
        daemon.signal(SIGTERM)
        #expect(try await daemon.exit() == .code(0))
        // It may be returned to by the liar.
        if File.exists(place.socket) { File.remove(place.socket) }
      }
    }

    /// As soon as it serves, which it can't tell.
    private func join(_ daemon: PeerProcess, in place: Workplace) async throws {
      while true {
        do {
          return try await place.joinInspector()
        } catch BusError.cannotJoin where !daemon.hasEnded {
          await Task.yield()
        }
      }
    }

    @Test(
      "busctl ends with 69 when the node is gone", arguments: ["subscribe topic", "monitor topic", "publish topic"])
    func busctl(command: String) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let log = try Log()
        let words = ["\(Executable.folder)/busctl"] + command.split(separator: " ").map(String.init)
        let busctl = try place.program(words + ["--socket", place.socket], errors: log.raw)
        try await place.books("busctl is at work") { !$0.subscriptions.isEmpty || !$0.streams.isEmpty }
        try await place.node?.kill()
        await place.leaveInspector()
        #expect(try await busctl.end() == .code(69))
        #expect(try log.lines().contains { $0.contains("the node is gone") })
        try await place.startNode()
      }
    }
  }
}
