import Foundation
import Logging
import Platform
import PoolNode
import ServiceLifecycle

/// Runs a node until the process is told to stop; tells the service manager, if there is one, how it fares.
struct NodeService: Service {
  let configuration: NodeConfiguration
  let logger: Logger

  /// - Throws: ``NodeError`` if the node can't start.
  func run() async throws {
    let service = try ServiceManager.take(from: ProcessInfo.processInfo.environment)
    let notifier = service.notifier
    let node = try Node.start(configuration, service: service, logger: logger)
    tell(notifier, ["READY=1", "STATUS=Serves \(node.configuration.socketPath)"])
    await withTaskCancellationOrGracefulShutdownHandler {
      await node.waitUntilStopped()
    } onCancelOrGracefulShutdown: {
      logger.info("node was told to stop")
      tell(notifier, ["STOPPING=1"])
      node.stop()
    }
    logger.info("node has stopped")
  }

  private func tell(_ notifier: ServiceNotifier?, _ lines: [String]) {
    do {
      try notifier?.send(lines)
    } catch {
      logger.warning("the service manager could not be told \(lines): \(error)")
    }
  }
}
