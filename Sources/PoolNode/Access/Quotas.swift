import Vocabulary

/// How much one user's clients may take of a node, all together. What is nil has no bound.
public struct UserQuota: Hashable, Sendable {
  /// Bytes of the pool in the segments of the user's publishers.
  public var bytes: UInt64?
  /// How many segments these are.
  public var segments: UInt64?
  public var clients: UInt64?
  public var subscriptions: UInt64?
  /// Descriptors that the node holds for the user's clients: two for each client, one for each subscription, and those
  /// that wait to be read by them. (A segment costs two more; ``segments`` bounds these.)
  public var descriptors: UInt64?

  public init(
    bytes: UInt64? = nil, segments: UInt64? = nil, clients: UInt64? = nil, subscriptions: UInt64? = nil,
    descriptors: UInt64? = nil
  ) {
    self.bytes = bytes
    self.segments = segments
    self.clients = clients
    self.subscriptions = subscriptions
    self.descriptors = descriptors
  }

  static let unlimited = UserQuota()
}

/// Whose quota it is: of each user that fits, for itself.
public struct UserQuotaRule: Hashable, Sendable {
  public var principals: [Principal]
  public var quota: UserQuota

  public init(principals: [Principal], quota: UserQuota) {
    self.principals = principals
    self.quota = quota
  }
}

extension [UserQuotaRule] {
  /// The first that fits counts.
  func quota(of peer: Peer) -> UserQuota {
    first { $0.principals.contains { $0.includes(peer) } }?.quota ?? .unlimited
  }
}

/// How much one client may ask of the node. Generous: they are there so that no client, gone wrong or hostile, fills the
/// node's own memory.
public struct ClientLimits: Hashable, Sendable {
  /// Publishers that are open, or closed and still mapping segments.
  public var publishers: UInt64
  /// Subscriptions that are open, or closed and still mapping segments.
  public var subscriptions: UInt64
  /// Streams in which each of its subscriptions stood at an earlier node.
  public var cursors: UInt64
  /// Leases that wait for memory.
  public var waitingLeases: UInt64
  /// Descriptors in messages that it has not read yet.
  public var unreadDescriptors: UInt64

  public init(
    publishers: UInt64 = 4096, subscriptions: UInt64 = 1024, cursors: UInt64 = 65_536, waitingLeases: UInt64 = 4096,
    unreadDescriptors: UInt64 = 4096
  ) {
    self.publishers = publishers
    self.subscriptions = subscriptions
    self.cursors = cursors
    self.waitingLeases = waitingLeases
    self.unreadDescriptors = unreadDescriptors
  }
}
