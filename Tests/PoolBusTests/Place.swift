import Foundation
import HandleTransport
import Logging
import PoolNode

@testable import PoolBus

/// A node that can be stopped and started, and clients that live through it.
final class Place {
  let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
  private let transport: any HandleTransport
  private(set) var node: Node?
  private(set) var buses: [Bus] = []
  private var events: [AsyncStream<NodeEvent>.AsyncIterator] = []

  init(transport: any HandleTransport = InProcessTransport()) { self.transport = transport }

  func join(whenNodeLost policy: NodeLossPolicy = .rejoin(within: nil)) async throws -> Bus {
    let configuration = BusConfiguration(
      socketPath: "\(directory)/node.sock", embeddedNode: nil, whenNodeLost: policy)
    let bus = try await Bus.connect(configuration, transport: transport)
    buses.append(bus)
    events.append(bus.nodeEvents.makeAsyncIterator())
    return bus
  }

  func startNode(_ configure: (inout NodeConfiguration) -> Void = { _ in }) throws {
    var configuration = NodeConfiguration(socketPath: "\(directory)/node.sock", contribution: 16 << 20)
    configure(&configuration)
    node = try Node.start(
      configuration,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  func stopNode() async {
    node?.stop()
    await node?.waitUntilStopped()
    node = nil
  }

  private struct Missing: Error {}

  /// Waits until a client says so of its node.
  func wait(_ client: Int, until isExpected: (NodeEvent) -> Bool) async throws {
    var iterator = events[client]
    while let event = await iterator.next(isolation: nil) {
      if isExpected(event) {
        events[client] = iterator
        return
      }
    }
    throw Missing()
  }

  func restartNode(_ configure: (inout NodeConfiguration) -> Void = { _ in }) async throws {
    await stopNode()
    try startNode(configure)
    for client in buses.indices { try await wait(client) { if case .rejoined = $0 { true } else { false } } }
  }

  func end() async throws {
    for bus in buses { await bus.close() }
    await stopNode()
    try FileManager.default.removeItem(atPath: directory)
  }
}
