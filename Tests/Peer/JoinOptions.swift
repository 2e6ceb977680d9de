import ArgumentParser
import PoolBus

/// Which node to join, and as whom.
struct JoinOptions: ParsableArguments {
  @Option(help: "The socket of the node.")
  var socket: String

  @Option(help: "The name that the node shows.")
  var name = "peer"

  @Option(help: "Start a node with a pool of so many bytes within this process if none answers.")
  var embed: UInt64?

  @Flag(help: "Fail when the node is gone, instead of rejoining the next.")
  var noRejoin = false

  @Option(help: "Wait for the next node at most so many milliseconds.")
  var rejoinWithin: Int?

  /// Says `joined CLIENT`, and from then on `node-lost`, `node-rejoined CLIENT`, `node-stream-lost STREAM` and
  /// `node-gave-up WHY`.
  func connect() async throws -> Bus {
    let embedded = embed.map { BusConfiguration.EmbeddedNode(contribution: $0) }
    let bus = try await Bus.connect(
      BusConfiguration(
        socketPath: socket, name: name, embeddedNode: embedded,
        whenNodeLost: noRejoin ? .fail : .rejoin(within: rejoinWithin.map { .milliseconds($0) })))
    say("joined", bus.client.rawValue)
    let events = bus.nodeEvents
    Task {
      for await event in events {
        switch event {
        case .lost: say("node-lost")
        case .rejoined(let client): say("node-rejoined", client.rawValue)
        case .streamLost(_, let stream): say("node-stream-lost", stream.rawValue)
        case .gaveUp(let error): say("node-gave-up", error)
        }
      }
    }
    return bus
  }
}
