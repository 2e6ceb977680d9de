import Platform
import Vocabulary

/// What a node is started with.
public struct NodeConfiguration: Sendable {
  /// Where clients join. Its directory is made if it is missing, for those who may connect.
  public var socketPath: String
  /// Bytes of memory that the node contributes to the pool. Nothing is taken before it is leased.
  public var contribution: UInt64
  /// How many bytes the topics of a pattern may hold, each; the first pattern that matches a topic counts.
  public var quotas: [TopicQuota]
  /// How long segments of an earlier life wait to be claimed.
  public var claimGrace: Duration = .seconds(30)
  /// Who may publish, subscribe and inspect; nil: whoever can connect may do all.
  public var access: AccessList?
  /// How much each user's clients may take; the first rule that fits a user counts.
  public var userQuotas: [UserQuotaRule] = []
  public var clientLimits = ClientLimits()
  /// Who may connect: the permissions of the socket.
  public var socketAccess = SocketAccess()
  /// It runs within an application, and ends with it: another client may take its place then.
  public var isEmbedded = false
  /// There was a node at the socket, and it had clients when it ended: they may come back.
  var followsAnother = false
  /// How long, after the node has started anew, what its clients had is kept for those that are not back yet.
  public var rejoinGrace: Duration = .seconds(5)

  /// - Parameter contribution: rounded down to whole pages; nil for a quarter of the machine's memory.
  public init(
    socketPath: String = NodeConfiguration.defaultSocketPath, contribution: UInt64? = nil, quotas: [TopicQuota] = []
  ) {
    self.socketPath = socketPath
    let bytes = contribution ?? UInt64(Memory.physicalByteCount / 4)
    self.contribution = bytes - bytes % UInt64(Memory.pageByteCount)
    self.quotas = quotas
  }

  /// `$POOLBUS_SOCKET`, or else `node.sock` in `$XDG_RUNTIME_DIR/poolbus`, in `/run/poolbus` for root, or in
  /// `/tmp/poolbus-UID`.
  public static var defaultSocketPath: String {
    if let path = Environment["POOLBUS_SOCKET"], !path.isEmpty { return path }
    if let directory = Environment["XDG_RUNTIME_DIR"], !directory.isEmpty { return "\(directory)/poolbus/node.sock" }
    return Environment.userID == 0 ? "/run/poolbus/node.sock" : "/tmp/poolbus-\(Environment.userID)/node.sock"
  }
}

/// Why a node could not start.
public enum NodeError: Error, CustomStringConvertible {
  case socket(SocketError)
  case directory(path: String, problem: String)
  case socketPathTooLong(path: String, limit: Int)
  case contributionTooSmall(UInt64, minimum: UInt64)
  case system(String)

  public var description: String {
    switch self {
    case .socket(let error): "\(error)"
    case .directory(let path, let problem): "the node can't use the directory \(path): \(problem)"
    case .socketPathTooLong(let path, let limit):
      "the socket path \(path) has \(path.utf8.count) bytes; \(limit) are allowed: choose a shorter one"
    case .contributionTooSmall(let bytes, let minimum):
      "a contribution of \(bytes) bytes can't hold one segment: contribute at least \(minimum)"
    case .system(let problem): problem
    }
  }
}
