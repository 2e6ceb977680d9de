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
    let room = PacketSocket.maximumPathByteCount - HandleSockets.suffixByteCount
    guard configuration.socketPath.utf8.count <= room else {
      throw .socketPathTooLong(path: configuration.socketPath, limit: room)
    }
    let minimum: UInt64 = 64 << 10
    guard configuration.contribution >= minimum else {
      throw .contributionTooSmall(configuration.contribution, minimum: minimum)
    }
    try RuntimeDirectory.prepare(for: configuration.socketPath, configuration.socketAccess)
    let listener: PacketListener
    do {
      listener = try PacketListener.claim(
        path: configuration.socketPath, mode: configuration.socketAccess.mode, group: configuration.socketAccess.group)
    } catch {
      throw .socket(error)
    }
    HandleSockets.removeAll(beside: configuration.socketPath)
    DescriptorLimit.raise()
    do {
      let control = try NodeControl()
      var loop: NodeLoop? = try NodeLoop(
        configuration: configuration, listener: listener, control: control, logger: logger)
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

  private init(configuration: NodeConfiguration, control: NodeControl) {
    self.configuration = configuration
    self.control = control
  }

  deinit { control.stop() }

  /// Asks the node to stop; its clients see `nodeLost`, and keep what they have mapped.
  public func stop() { control.stop() }

  /// Returns when the node has stopped and its socket is gone.
  public func waitUntilStopped() async { await control.waitUntilFinished() }
}
