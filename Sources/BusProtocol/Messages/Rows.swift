import Vocabulary

// Rows of a node's books. Encoded as JSON they have the names they have here. Ages are nanoseconds before the snapshot.

/// Bytes by ledger state: they sum to the contribution.
public struct PoolRow: Hashable, Codable, Sendable {
  public var contribution: UInt64
  public var free: UInt64
  public var leased: UInt64
  public var sealed: UInt64
  public var retained: UInt64
  public var warm: UInt64
  public var pinned: UInt64
  /// Since the node started, as are the next three.
  public var segmentsLeased: UInt64
  public var segmentsRecycled: UInt64
  public var segmentsReclaimed: UInt64
  /// Messages that policies took from subscriptions which had not released them; some may have been read all the same.
  public var messagesLagged: UInt64
  /// Whether segments are backed by huge pages, and why not. At most 255 bytes travel; the rest is cut.
  public var hugePages: String
  public var waitingLeases: UInt64
  public var nodeProcessID: Int32
  public var uptimeNanoseconds: UInt64

  public init(
    contribution: UInt64, free: UInt64, leased: UInt64, sealed: UInt64, retained: UInt64, warm: UInt64, pinned: UInt64,
    segmentsLeased: UInt64, segmentsRecycled: UInt64, segmentsReclaimed: UInt64, messagesLagged: UInt64,
    hugePages: String, waitingLeases: UInt64, nodeProcessID: Int32, uptimeNanoseconds: UInt64
  ) {
    self.contribution = contribution
    self.free = free
    self.leased = leased
    self.sealed = sealed
    self.retained = retained
    self.warm = warm
    self.pinned = pinned
    self.segmentsLeased = segmentsLeased
    self.segmentsRecycled = segmentsRecycled
    self.segmentsReclaimed = segmentsReclaimed
    self.messagesLagged = messagesLagged
    self.hugePages = hugePages
    self.waitingLeases = waitingLeases
    self.nodeProcessID = nodeProcessID
    self.uptimeNanoseconds = uptimeNanoseconds
  }
}

/// A client, as the node knows it.
public struct ClientRow: Hashable, Codable, Sendable {
  public var client: ClientID
  public var name: String
  public var processID: Int32
  public var userID: UInt32
  public var joinedNanosecondsAgo: UInt64

  public init(client: ClientID, name: String, processID: Int32, userID: UInt32, joinedNanosecondsAgo: UInt64) {
    self.client = client
    self.name = name
    self.processID = processID
    self.userID = userID
    self.joinedNanosecondsAgo = joinedNanosecondsAgo
  }
}

/// A user with clients, or with segments in the pool; what all of its clients have together, and may have. A quota that is
/// nil is none.
public struct UserRow: Hashable, Codable, Sendable {
  public var userID: UInt32
  public var clients: UInt64
  public var clientQuota: UInt64?
  public var subscriptions: UInt64
  public var subscriptionQuota: UInt64?
  /// Of its publishers, as are the bytes.
  public var segments: UInt64
  public var segmentQuota: UInt64?
  public var bytes: UInt64
  public var byteQuota: UInt64?

  public init(
    userID: UInt32, clients: UInt64, clientQuota: UInt64?, subscriptions: UInt64, subscriptionQuota: UInt64?,
    segments: UInt64, segmentQuota: UInt64?, bytes: UInt64, byteQuota: UInt64?
  ) {
    self.userID = userID
    self.clients = clients
    self.clientQuota = clientQuota
    self.subscriptions = subscriptions
    self.subscriptionQuota = subscriptionQuota
    self.segments = segments
    self.segmentQuota = segmentQuota
    self.bytes = bytes
    self.byteQuota = byteQuota
  }
}

/// A topic that has a publisher, a subscription or a segment.
public struct TopicRow: Hashable, Codable, Sendable {
  public var topic: TopicName
  public var publishers: UInt64
  public var subscriptions: UInt64
  public var segments: UInt64
  /// Bytes of the pool that the topic holds.
  public var bytes: UInt64
  /// Bytes of the pool that the topic may hold.
  public var quota: UInt64
  public var retention: Retention

  public init(
    topic: TopicName, publishers: UInt64, subscriptions: UInt64, segments: UInt64, bytes: UInt64, quota: UInt64,
    retention: Retention
  ) {
    self.topic = topic
    self.publishers = publishers
    self.subscriptions = subscriptions
    self.segments = segments
    self.bytes = bytes
    self.quota = quota
    self.retention = retention
  }
}

/// A stream whose publisher lives, or of which there are segments.
public struct StreamRow: Hashable, Codable, Sendable {
  public var stream: StreamID
  /// Nil: the publisher is gone.
  public var client: ClientID?
  public var topic: TopicName
  public var handleEndpoint: String
  public var lastSequence: UInt64
  public var segments: UInt64
  public var bytes: UInt64
  public var openedNanosecondsAgo: UInt64

  public init(
    stream: StreamID, client: ClientID?, topic: TopicName, handleEndpoint: String, lastSequence: UInt64,
    segments: UInt64, bytes: UInt64, openedNanosecondsAgo: UInt64
  ) {
    self.stream = stream
    self.client = client
    self.topic = topic
    self.handleEndpoint = handleEndpoint
    self.lastSequence = lastSequence
    self.segments = segments
    self.bytes = bytes
    self.openedNanosecondsAgo = openedNanosecondsAgo
  }
}

/// A subscription, and how far behind it is.
public struct SubscriptionRow: Hashable, Codable, Sendable {
  public var subscription: SubscriptionID
  public var client: ClientID
  public var pattern: TopicPattern
  public var observes: Bool
  /// Messages, and below bytes, of sealed segments that it has not released.
  public var backlogMessages: UInt64
  public var backlogBytes: UInt64
  public var backlogSegments: UInt64
  public var laggedMessages: UInt64
  public var joinedNanosecondsAgo: UInt64

  public init(
    subscription: SubscriptionID, client: ClientID, pattern: TopicPattern, observes: Bool, backlogMessages: UInt64,
    backlogBytes: UInt64, backlogSegments: UInt64, laggedMessages: UInt64, joinedNanosecondsAgo: UInt64
  ) {
    self.subscription = subscription
    self.client = client
    self.pattern = pattern
    self.observes = observes
    self.backlogMessages = backlogMessages
    self.backlogBytes = backlogBytes
    self.backlogSegments = backlogSegments
    self.laggedMessages = laggedMessages
    self.joinedNanosecondsAgo = joinedNanosecondsAgo
  }
}

/// A segment in its present life.
public struct SegmentRow: Hashable, Codable, Sendable {
  public var segment: SegmentID
  public var epoch: UInt32
  public var state: SegmentState
  public var capacity: UInt64
  public var stream: StreamID
  public var topic: TopicName
  public var messages: UInt64
  public var leasedNanosecondsAgo: UInt64
  /// Since when it has been in this state.
  public var stateNanosecondsAgo: UInt64

  public init(
    segment: SegmentID, epoch: UInt32, state: SegmentState, capacity: UInt64, stream: StreamID, topic: TopicName,
    messages: UInt64, leasedNanosecondsAgo: UInt64, stateNanosecondsAgo: UInt64
  ) {
    self.segment = segment
    self.epoch = epoch
    self.state = state
    self.capacity = capacity
    self.stream = stream
    self.topic = topic
    self.messages = messages
    self.leasedNanosecondsAgo = leasedNanosecondsAgo
    self.stateNanosecondsAgo = stateNanosecondsAgo
  }
}

/// Who keeps a segment from being reclaimed, and how.
public struct HolderRow: Hashable, Codable, Sendable {
  /// In which way.
  public enum Reason: String, Hashable, Codable, Sendable, CaseIterable {
    /// The publisher's lease.
    case writes
    /// Has not released it yet.
    case promised
    /// Released it, still maps it.
    case mapped
    /// Was there before the node started anew, and is not back yet.
    case awaited
    /// As ``awaited``: subscriptions that nobody has spoken of, if there are any.
    case kept
  }

  public var segment: SegmentID
  /// Nil for who is not back yet.
  public var client: ClientID?
  /// Nil: the publisher, or whoever it is kept for.
  public var subscription: SubscriptionID?
  public var reason: Reason
  public var sinceNanosecondsAgo: UInt64
  /// How long it is waited for yet, if it is not back.
  public var remainingNanoseconds: UInt64

  public init(
    segment: SegmentID, client: ClientID?, subscription: SubscriptionID?, reason: Reason, sinceNanosecondsAgo: UInt64,
    remainingNanoseconds: UInt64 = 0
  ) {
    self.segment = segment
    self.client = client
    self.subscription = subscription
    self.reason = reason
    self.sinceNanosecondsAgo = sinceNanosecondsAgo
    self.remainingNanoseconds = remainingNanoseconds
  }
}
