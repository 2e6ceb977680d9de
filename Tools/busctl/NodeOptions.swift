import ArgumentParser
import PoolBus

/// Which node to join.
struct NodeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The node's socket (default: $POOLBUS_SOCKET, or the one of this user).", valueName: "path"),
    completion: .file())
  var socket: String?

  /// Joins the node, and leaves it when the work is done or has failed.
  ///
  /// - Parameter name: how others see this process.
  /// - Throws: ``BusError/cannotJoin(_:)`` if no node answers: none is ever started here.
  func withBus<Result>(as name: String, _ work: (Bus) async throws -> Result) async throws -> Result {
    var configuration = BusConfiguration(name: "busctl \(name)", embeddedNode: nil, whenNodeLost: .fail)
    if let socket { configuration.socketPath = socket }
    let bus = try await Bus.connect(configuration)
    do {
      let result = try await work(bus)
      await bus.close()
      return result
    } catch {
      await bus.close()
      throw error
    }
  }
}

extension CompletionKind {
  /// The topics that the node knows.
  static var topics: CompletionKind {
    .custom { words, _, _ in
      var node = NodeOptions()
      node.socket = words.firstIndex(of: "--socket").flatMap { words.dropFirst($0 + 1).first }
      let snapshot = try? await node.withBus(as: "completion") { try await $0.inspect() }
      return snapshot?.topics.map(\.topic.text) ?? []
    }
  }
}
