import ArgumentParser
import Foundation
import Logging
import PoolNode
import ServiceLifecycle

/// The node of a host, as a daemon.
@main
struct Poolbusd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "poolbusd",
    abstract: "Serves this host's clients of the bus: contributes memory to the pool and keeps the ledger.",
    discussion: """
      Every setting can be given by its flag, else by an environment variable, else in the JSON file of --config:

        --socket        POOLBUS_SOCKET        "socket": "/run/poolbus/node.sock"
        --contribution  POOLBUS_CONTRIBUTION  "contribution": "2GiB"
        --quota         POOLBUS_QUOTAS        "quotas": ["camera/**=1GiB"]
        --log-level     POOLBUS_LOG_LEVEL     "logLevel": "info"

      POOLBUS_QUOTAS is a comma-separated list. SIGTERM and SIGINT end the node; clients keep what they have mapped.

      EXIT CODES
        0   told to stop
        1   could not serve: another node has the socket, for one
        64  a flag is wrong
        78  an environment variable or the configuration file is wrong
      """)

  @Option(help: ArgumentHelp("Where clients join.", valueName: "path"), completion: .file())
  var socket: String?

  @Option(
    help: ArgumentHelp("Memory for the pool, as in 512MiB (default: a quarter of the machine's).", valueName: "size"))
  var contribution: String?

  @Option(
    name: .customLong("quota"),
    help: ArgumentHelp(
      "How much each topic of a pattern may hold; may be given several times, and the first that matches counts.",
      valueName: "pattern=size"))
  var quotas: [String] = []

  @Option(help: ArgumentHelp("From here up is logged: \(Settings.logLevels).", valueName: "level"))
  var logLevel: String?

  @Option(help: ArgumentHelp("A JSON file with settings.", valueName: "file"), completion: .file(extensions: ["json"]))
  var config: String?

  func run() async throws {
    do {
      try await serve(Settings(from: sources()))
    } catch let error as InvalidSetting {
      Self.complain("\(error)")
      throw error.exitCode
    }
  }

  private func serve(_ settings: Settings) async throws {
    var logger = Logger(label: "poolbusd", factory: { StreamLogHandler.standardError(label: $0) })
    logger.logLevel = settings.logLevel
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [NodeService(configuration: settings.node, logger: logger)],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    do {
      try await group.run()
    } catch let error as NodeError {
      throw settings.blaming(error)
    }
  }

  /// Where settings come from, the strongest first.
  private func sources() throws(InvalidSetting) -> [SettingsSource] {
    var flags: [SettingsSource.Key: String] = [:]
    flags[.socket] = socket
    flags[.contribution] = contribution
    flags[.logLevel] = logLevel
    let sources: [SettingsSource] = [
      .flags(flags, quotas: quotas), .environment(ProcessInfo.processInfo.environment),
    ]
    guard let config else { return sources }
    return sources + [try .file(at: config)]
  }

  private static func complain(_ message: String) {
    FileHandle.standardError.write(Data("poolbusd: \(message)\n".utf8))
  }
}
