import ArgumentParser
import CPeer
import Foundation
import Logging
import PoolNode
import Vocabulary

/// Says `serving`, and serves until it is told to `exit`; obeys `fork`, as the others do.
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "node")

  @Option var socket: String
  @Option var contribution: UInt64
  @Option(help: "Nanoseconds that inherited segments wait for; with it, what a service manager gave is taken over.")
  var claimGrace: UInt64?
  @Option(help: "How many milliseconds to wait for clients of a node before.") var grace = 2000
  @Option(help: "PATTERN=BYTES, as often as there are quotas.") var quota: [Quota] = []

  func run() async throws {
    let orders = try Orders()
    var logger = Logger(label: "node") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .notice
    var configuration = NodeConfiguration(
      socketPath: socket, contribution: contribution, quotas: quota.map(\.value))
    configuration.claimGrace = .nanoseconds(claimGrace ?? 0)
    configuration.rejoinGrace = .milliseconds(grace)
    let service: ServiceManager =
      claimGrace == nil ? .none : try ServiceManager.take(from: ProcessInfo.processInfo.environment)
    let node = try Node.start(configuration, service: service, logger: logger)
    say("serving")
    while let order = await orders.next() {
      switch order.verb {
      case "fork": say("forked", poolbus_peer_fork_idle_child())
      default: throw Misunderstanding(order: order)
      }
    }
    node.stop()
    await node.waitUntilStopped()
  }
}

struct Quota: ExpressibleByArgument {
  let value: TopicQuota

  init?(argument: String) {
    let parts = argument.split(separator: "=")
    guard parts.count == 2, let pattern = try? TopicPattern(String(parts[0])), let bytes = UInt64(parts[1]) else {
      return nil
    }
    value = TopicQuota(pattern: pattern, bytes: bytes)
  }
}
