import Glibc
import Logging
import Platform
import Synchronization
import Vocabulary

/// The process on a host that contributes memory, keeps the ledger and serves that host's clients.
///
/// It runs on a thread of its own until it is stopped, in `poolbusd` or embedded in an application.
public final class Node: Sendable {
  public let configuration: NodeConfiguration
  private let control: NodeControl

  /// Takes the socket and starts to serve.
  ///
  /// - Throws: ``NodeError``; ``SocketError/inUse(path:processID:)`` within it names the node that has the socket.
  public static func start(_ configuration: NodeConfiguration, logger: Logger) throws(NodeError) -> Node {
    try start(configuration, service: .none, logger: logger)
  }

  /// As ``start(_:logger:)``, with what a service manager gave: a socket of its takes the configured one's place.
  public static func start(
    _ configured: NodeConfiguration, service: consuming ServiceManager, logger: Logger
  ) throws(NodeError) -> Node {
    var configuration = configured
    if let path = service.socketPath { configuration.socketPath = path }
    let room = PacketSocket.maximumPathByteCount - HandleSockets.suffixByteCount
    guard configuration.socketPath.utf8.count <= room else {
      throw .socketPathTooLong(path: configuration.socketPath, limit: room)
    }
    let minimum: UInt64 = 64 << 10
    guard configuration.contribution >= minimum else {
      throw .contributionTooSmall(configuration.contribution, minimum: minimum)
    }
    let listener: PacketListener
    switch service.takeListener() {
    case .some(let socket): listener = socket
    case .none: listener = try claimSocket(at: configuration.socketPath, configuration.socketAccess)
    }
    configuration.followsAnother = listener.followsAnother || !service.segments.isEmpty
    HandleSockets.removeAll(beside: configuration.socketPath)
    DescriptorLimit.raise()
    do {
      let control = try NodeControl()
      var loop: NodeLoop? = try NodeLoop(
        configuration: configuration, listener: listener, service: service, control: control, logger: logger)
      try startThread(named: "poolbus-node") {
        loop?.run()
        // Its sockets and segments go before anybody is told that it has stopped.
        loop = nil
        control.finished()
      }
      logger.info(
        "node serves",
        metadata: [
          "socket": "\(configuration.socketPath)", "contribution": "\(configuration.contribution)",
        ])
      return Node(configuration: configuration, control: control)
    } catch {
      throw .system("the node could not start its thread: \(error)")
    }
  }

  private static func claimSocket(at path: String, _ access: SocketAccess) throws(NodeError) -> PacketListener {
    try RuntimeDirectory.prepare(for: path, access)
    do {
      return try PacketListener.claim(path: path, mode: access.mode, group: access.group)
    } catch {
      throw .socket(error)
    }
  }

  private init(configuration: NodeConfiguration, control: NodeControl) {
    self.configuration = configuration
    self.control = control
  }

  deinit { control.stop() }

  /// Asks the node to stop; its clients see `nodeLost`, and keep what they have mapped. If they have something to bring back
  /// to another node, the socket's file stays: it tells that one so.
  public func stop() { control.stop() }

  /// Returns when the node has stopped and nobody listens at its socket any more.
  public func waitUntilStopped() async { await control.waitUntilFinished() }
}
