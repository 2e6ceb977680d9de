import Platform
import PoolNode
import Synchronization

/// Finds the host's node at its socket, or starts one within this process where that is wanted. Keeps the one it started.
final class NodeFinder: Sendable {
  private let configuration: BusConfiguration
  private let node = Mutex<Node?>(nil)

  init(_ configuration: BusConfiguration) { self.configuration = configuration }

  /// Joins the node; starts one if there is none and the configuration says so.
  func join() throws(BusError) -> PacketSocket {
    var failure: BusError = .nodeLost
    // Two processes may find no node at the same moment: one starts it, the other finds it at its next try.
    for _ in 0..<8 {
      do throws(SocketError) {
        return try PacketSocket.connect(to: configuration.socketPath)
      } catch {
        failure = .cannotJoin("\(error)")
        guard case .nobodyListens = error, let embedded = configuration.embeddedNode else { throw failure }
        do throws(NodeError) {
          try start(embedded)
        } catch {
          failure = .cannotJoin("\(error)")
          guard case .socket(.inUse) = error else { throw failure }
        }
      }
    }
    throw failure
  }

  /// Looks once whether there is a node again.
  ///
  /// - Parameter mayStart: the node that is gone ran within an application. Its place is anybody's; a daemon's is the
  ///   daemon's, which will be started again by whoever started it.
  func findAgain(mayStart: Bool) -> PacketSocket? {
    if let socket = try? PacketSocket.connect(to: configuration.socketPath) { return socket }
    guard mayStart, let embedded = configuration.embeddedNode, (try? start(embedded)) != nil else { return nil }
    return try? PacketSocket.connect(to: configuration.socketPath)
  }

  private func start(_ embedded: BusConfiguration.EmbeddedNode) throws(NodeError) {
    var configuration = NodeConfiguration(
      socketPath: configuration.socketPath, contribution: embedded.contribution, quotas: embedded.quotas)
    configuration.isEmbedded = true
    let started = try Node.start(configuration, logger: embedded.logger)
    node.withLock { $0 = started }
  }

  /// Ends the node that was started here, if one was, and waits for it.
  func stopNode() async {
    let started = node.withLock { $0.take() }
    started?.stop()
    await started?.waitUntilStopped()
  }
}
