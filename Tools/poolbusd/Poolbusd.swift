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

        --socket        POOLBUS_SOCKET         "socket": "/run/poolbus/node.sock"
        --socket-mode   POOLBUS_SOCKET_MODE    "socketMode": "0660"
        --socket-group  POOLBUS_SOCKET_GROUP   "socketGroup": "vision"
        --contribution  POOLBUS_CONTRIBUTION   "contribution": "2GiB"
        --quota         POOLBUS_QUOTAS         "quotas": ["camera/**=1GiB"]
        --access        POOLBUS_ACCESS         "access": ["allow publish camera/** to user:camera", "…"]
        --user-quota    POOLBUS_USER_QUOTAS    "userQuotas": ["group:guests bytes=64MiB clients=8"]
        --client-limit  POOLBUS_CLIENT_LIMITS  "clientLimits": ["subscriptions=2048"]
        --log-level     POOLBUS_LOG_LEVEL      "logLevel": "info"

      Lists are comma-separated in the environment. SIGTERM and SIGINT end the node; clients keep what they have mapped.

      ACCESS
        Without an access list, whoever can connect may do all. With one, the first rule that fits decides, and what no
        rule fits is denied. A rule is allow or deny; publish, subscribe, inspect, or several of them; a topic pattern;
        to; and user:NAME, group:NAME, everyone, or several of them:

          --access 'allow publish camera/** to user:camera'
          --access 'allow subscribe inspect ** to group:vision user:root'

        A subscription to more than its user may read receives what it may read. User quotas are bytes, segments,
        clients, subscriptions and descriptors, of each user of the rule for itself; client limits are publishers,
        subscriptions, cursors (of each subscription that comes back from an earlier node), waiting-leases and
        unread-descriptors, of each client.

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

  @Option(help: ArgumentHelp("Who may connect, as in chmod (default: 0600, this user alone).", valueName: "mode"))
  var socketMode: String?

  @Option(help: ArgumentHelp("The group of the socket, by name or number.", valueName: "group"))
  var socketGroup: String?

  @Option(help: ArgumentHelp("Who may do what; may be given several times. See above.", valueName: "rule"))
  var access: [String] = []

  @Option(
    name: .customLong("user-quota"),
    help: ArgumentHelp(
      "How much the clients of a user may take; may be given several times, and the first that fits counts.",
      valueName: "rule"))
  var userQuotas: [String] = []

  @Option(
    name: .customLong("client-limit"),
    help: ArgumentHelp("How much one client may ask for; may be given several times.", valueName: "name=number"))
  var clientLimits: [String] = []

  @Option(help: ArgumentHelp("From here up is logged: \(Settings.logLevels).", valueName: "level"))
  var logLevel: String?

  @Option(help: ArgumentHelp("A JSON file with settings.", valueName: "file"), completion: .file(extensions: ["json"]))
  var config: String?

  func run() async throws {
    // A log whose reader has ended must not end the node.
    signal(SIGPIPE, SIG_IGN)
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
    flags[.socketMode] = socketMode
    flags[.socketGroup] = socketGroup
    let lists: [SettingsSource.Key: [String]] = [
      .quotas: quotas, .access: access, .userQuotas: userQuotas, .clientLimits: clientLimits,
    ]
    let sources: [SettingsSource] = [
      .flags(flags, lists: lists), .environment(ProcessInfo.processInfo.environment),
    ]
    guard let config else { return sources }
    return sources + [try .file(at: config)]
  }

  private static func complain(_ message: String) {
    try? FileHandle.standardError.write(contentsOf: Data("poolbusd: \(message)\n".utf8))
  }
}
