import Logging
import PoolNode
import ServiceLifecycle

/// Runs a node until the process is told to stop.
struct NodeService: Service {
  let configuration: NodeConfiguration
  let logger: Logger

  /// - Throws: ``NodeError`` if the node can't start.
  func run() async throws {
    let node = try Node.start(configuration, logger: logger)
    await withTaskCancellationOrGracefulShutdownHandler {
      await node.waitUntilStopped()
    } onCancelOrGracefulShutdown: {
      logger.info("node was told to stop")
      node.stop()
    }
    logger.info("node has stopped")
  }
}
