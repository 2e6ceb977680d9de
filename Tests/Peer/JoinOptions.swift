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

  func connect() async throws -> Bus {
    let embedded = embed.map { BusConfiguration.EmbeddedNode(contribution: $0) }
    let bus = try await Bus.connect(BusConfiguration(socketPath: socket, name: name, embeddedNode: embedded))
    say("joined", bus.client.rawValue)
    return bus
  }
}
