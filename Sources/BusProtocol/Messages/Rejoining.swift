import Vocabulary

// What a client tells a node that has started anew, between Welcome and RejoinDone: what it had of the node before.

/// A publisher that goes on with its stream.
public struct RejoinPublisher: Hashable, Sendable {
  /// As many listeners as one message names; those beyond are not waited for.
  public static let maximumListenerCount = 4096

  /// As the node before had named it.
  public var stream: StreamID
  public var topic: TopicName
  public var whenFull: FullPolicy
  /// Nil leaves the topic's retention as it is.
  public var retention: Retention?
  /// The sequence of the last message published; 0 if none was.
  public var lastSequence: UInt64
  /// The subscriptions that were promised the stream: what they have not read is kept for them until they are back.
  public var listeners: [SubscriptionID]
  /// When it was opened: nanoseconds of the host's monotonic clock.
  public var opened: UInt64

  public init(
    stream: StreamID, topic: TopicName, whenFull: FullPolicy, retention: Retention?, lastSequence: UInt64,
    listeners: [SubscriptionID], opened: UInt64 = 0
  ) {
    self.stream = stream
    self.topic = topic
    self.whenFull = whenFull
    self.retention = retention
    self.lastSequence = lastSequence
    self.listeners = listeners
    self.opened = opened
  }
}

/// A subscription that reads on. Its wake page may come beside it.
public struct RejoinSubscription: Hashable, Sendable {
  /// As the node before had named it.
  public var subscription: SubscriptionID
  public var pattern: TopicPattern
  public var observes: Bool
  public var wantsRetained: Bool
  /// A limit that is set is at least 1.
  public var backlog: BacklogLimit
  /// When it joined: nanoseconds of the host's monotonic clock.
  public var joined: UInt64

  public init(
    subscription: SubscriptionID, pattern: TopicPattern, observes: Bool, wantsRetained: Bool, backlog: BacklogLimit,
    joined: UInt64 = 0
  ) {
    self.subscription = subscription
    self.pattern = pattern
    self.observes = observes
    self.wantsRetained = wantsRetained
    self.backlog = backlog
    self.joined = joined
  }
}

/// Where a subscription stands in a stream.
public struct RejoinCursor: Hashable, Sendable {
  public var subscription: SubscriptionID
  public var stream: StreamID
  public var topic: TopicName
  /// All messages before this one were delivered, or reported lost.
  public var nextSequence: UInt64

  public init(subscription: SubscriptionID, stream: StreamID, topic: TopicName, nextSequence: UInt64) {
    self.subscription = subscription
    self.stream = stream
    self.topic = topic
    self.nextSequence = nextSequence
  }
}

/// A segment that the client has mapped. Its memory comes beside it.
public struct OfferSegment: Hashable, Sendable {
  /// What the client has it for.
  public enum Use: Hashable, Sendable {
    case writing(isSealed: Bool)
    case reading(SubscriptionID, ReadingProgress)
  }

  public var segment: SegmentIdentity
  /// Bytes of the whole segment; from 1 to `Int.max`.
  public var capacity: UInt64
  public var stream: StreamID
  public var use: Use

  public init(segment: SegmentIdentity, capacity: UInt64, stream: StreamID, use: Use) {
    self.segment = segment
    self.capacity = capacity
    self.stream = stream
    self.use = use
  }
}
