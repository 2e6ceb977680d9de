import Logging
import PoolNode
import Vocabulary

/// How a process joins the bus.
public struct BusConfiguration: Sendable {
  /// The socket of the host's node.
  public var socketPath: String
  /// How `busctl` shows this client.
  public var name: String
  /// What to start when no node answers at ``socketPath``; nil fails instead.
  public var embeddedNode: EmbeddedNode?
  /// What to do when the node is gone.
  public var whenNodeLost: NodeLossPolicy
  /// Takes note when the node is gone, and when it is back; see also ``Bus/nodeEvents``.
  public var logger: Logger

  /// The node that an application starts within itself when the host has none.
  public struct EmbeddedNode: Sendable {
    /// Bytes for the pool; nil for a quarter of the machine's memory.
    public var contribution: UInt64?
    public var quotas: [TopicQuota]
    public var logger: Logger

    public init(
      contribution: UInt64? = nil, quotas: [TopicQuota] = [],
      logger: Logger = Logger(label: "poolbus.node", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
      self.contribution = contribution
      self.quotas = quotas
      self.logger = logger
    }
  }

  /// - Parameter socketPath: by default `$POOLBUS_SOCKET`, or else `node.sock` in `$XDG_RUNTIME_DIR/poolbus`, in
  ///   `/run/poolbus` for root, or in `/tmp/poolbus-UID`: a node of this user's own. A node of another user's is joined only if its
  ///   socket is named.
  public init(
    socketPath: String = NodeConfiguration.defaultSocketPath, name: String = CommandLine.arguments.first ?? "swift",
    embeddedNode: EmbeddedNode? = EmbeddedNode(), whenNodeLost: NodeLossPolicy = .rejoin(within: nil),
    logger: Logger = Logger(label: "poolbus.client", factory: { _ in SwiftLogNoOpLogHandler() })
  ) {
    self.socketPath = socketPath
    self.name = name
    self.embeddedNode = embeddedNode
    self.whenNodeLost = whenNodeLost
    self.logger = logger
  }
}

/// What a client does when its node is gone.
public enum NodeLossPolicy: Hashable, Sendable {
  /// Waits for a node at the same socket, and goes on with it; after `within`, as ``fail``. Nil waits for ever.
  ///
  /// Meanwhile, what is mapped can be read, and what is leased be filled. If the lost node ran within an application, and
  /// this client may start one (``BusConfiguration/embeddedNode``), it takes that node's place.
  ///
  /// Each mapped segment keeps a descriptor for this: the process's limit of descriptors is raised as far as it may.
  case rejoin(within: Duration?)
  /// Publishers and subscribers throw ``BusError/nodeLost`` as soon as they need the node.
  case fail
}

/// How a publisher behaves.
public struct PublisherOptions: Sendable {
  /// What to do when the pool, or the topic's quota, is full.
  public var whenFull: FullPolicy
  /// What the topic keeps for late joiners; nil leaves it as it is.
  public var retention: Retention?

  public init(whenFull: FullPolicy = .wait(timeout: nil), retention: Retention? = nil) {
    self.whenFull = whenFull
    self.retention = retention
  }
}

/// How a subscriber behaves.
public struct SubscriberOptions: Sendable {
  /// Beyond which backlog this subscription lags instead of holding memory.
  public var backlogLimit: BacklogLimit
  /// Whether to start with what the topics retain, or with the first message after joining.
  public var receivesRetained: Bool
  /// How ``Subscriber/next()`` waits.
  public var waiting: Waiting

  public init(
    backlogLimit: BacklogLimit = .none, receivesRetained: Bool = true, waiting: Waiting = .block
  ) {
    self.backlogLimit = backlogLimit
    self.receivesRetained = receivesRetained
    self.waiting = waiting
  }
}

/// How a subscriber waits for the next message.
public enum Waiting: Hashable, Sendable {
  /// Suspends the task; the publisher's handle wakes it. Costs no processor time while nothing comes: before it sleeps, it
  /// lets others have the core and looks again for a few microseconds, as what comes at once then costs no wake-up. Where
  /// messages that each take some 12 microseconds or more flow as fast as they are read, it naps for some 16 instead, after
  /// which several are there.
  case block
  /// Watches the next slot. Fastest, but keeps a thread of the executor busy: give it one of its own, and there,
  /// where nothing else is to run, ``Subscriber/tryNext(looks:)`` is faster still.
  case spin
  /// Spins as long as that has lately paid, and nobody else wants the core, then blocks; otherwise as ``block``.
  case adaptive
}
