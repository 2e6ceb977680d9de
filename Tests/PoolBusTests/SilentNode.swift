import BusProtocol
import Foundation
import HandleTransport
import Platform
import Testing

@testable import PoolBus

/// A node that lets a client in, and says nothing more.
final class SilentNode {
  private let listener: PacketListener
  private var client: PacketSocket?

  private init(at path: String) throws { listener = try PacketListener.claim(path: path) }

  /// - Parameters:
  ///   - policy: the client's.
  ///   - body: is given a client of it.
  static func with(
    whenNodeLost policy: NodeLossPolicy = .fail, _ body: (SilentNode, NodeConnection) async throws -> Void
  ) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let node = try SilentNode(at: "\(directory)/node.sock")
    let configuration = BusConfiguration(
      socketPath: "\(directory)/node.sock", embeddedNode: nil, whenNodeLost: policy)
    let finder = NodeFinder(configuration)
    let client = try NodeConnection(
      socket: try finder.join(), transport: InProcessTransport(), finder: finder, configuration: configuration)
    async let welcome = client.hello()
    try await node.letIn(directory)
    _ = try await welcome
    try await body(node, client)
  }

  private func letIn(_ directory: String) async throws {
    client = try listener.accept()
    try await hear()
    let welcome = NodeMessage.welcome(
      Welcome(
        client: ClientID(rawValue: 1), contribution: 1 << 20, handleEndpoint: "ipc://\(directory)/handles",
        life: try #require(NodeLife(rawValue: 1)), isEmbedded: false, bell: "\(directory)/bell"))
    let bytes = try welcome.encoded()
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    _ = try client?.send(unsafe span.bytes)
  }

  /// Ends the client's connection. It can make another, but is not let in any more.
  func hangUp() { client = nil }

  /// Returns when the client has made another connection.
  func accept() async throws {
    while client == nil {
      client = try listener.accept()
      await Task.yield()
    }
  }

  /// Ends the client's connection, and each that it makes until it has given up.
  ///
  /// - Returns: how many those were.
  func hangUp(until hasGivenUp: () -> Bool) async throws -> Int {
    client = nil
    var count = 0
    while !hasGivenUp() {
      if try listener.accept() != nil { count += 1 }
      await Task.yield()
    }
    return count
  }

  /// Waits until the client has said something more.
  func hear() async throws {
    var buffer = [UInt8](repeating: 0, count: PacketSocket.maximumPacketByteCount)
    while true {
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes takes any bytes.
      var bytes = unsafe span.mutableBytes
      if case .packet? = try client?.receive(into: &bytes) { return }
      try Task.checkCancellation()
      await Task.yield()
    }
  }
}

extension Publisher {
  /// A publisher of a client of a silent node, which it can't have asked for.
  static func silent(_ client: NodeConnection, whenFull: FullPolicy, limit: Int = 1 << 20) throws -> Publisher {
    let core = PublisherCore(
      topic: try TopicName("a"), stream: StreamID(rawValue: 1), limit: limit,
      options: PublisherOptions(whenFull: whenFull), node: client, announcer: try client.membership.announcer())
    client.loop.add(core)
    return Publisher(core)
  }
}
