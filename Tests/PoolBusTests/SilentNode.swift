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

  /// - Parameter body: is given a client of it that does not rejoin.
  static func with(_ body: (SilentNode, NodeConnection) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let node = try SilentNode(at: "\(directory)/node.sock")
    let configuration = BusConfiguration(
      socketPath: "\(directory)/node.sock", embeddedNode: nil, whenNodeLost: .fail)
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
