import Vocabulary

/// What a node says to a client: one message a packet.
public enum NodeMessage: Hashable, Sendable {
  /// The answer to ``ClientMessage/hello(_:)``.
  case welcome(Welcome)
  case refusal(Refusal)
  case publisherOpened(PublisherOpened)
  case subscribed(Subscribed)
  case streamIntroduced(StreamIntroduced)
  case streamEnded(StreamEnded)
  case leaseGranted(LeaseGranted)
  case segmentHanded(SegmentHanded)
  case segmentSealed(SegmentSealed)
  /// Unmap, when nothing is borrowed any more, and answer ``ClientMessage/segmentUnmapped(_:by:)``; nil speaks of the
  /// publisher's own mapping.
  case forgetSegment(SegmentID, by: SubscriptionID?)
  /// To a publisher: others wait for memory. Seal all segments, and from now on each as soon as it is filled, until a lease
  /// is granted that is not ``LeaseGranted/isShort``.
  case giveBack(StreamID)
  /// To a publisher: whether its topic keeps messages beyond acknowledgement. As long as it does, seal what is filled.
  case retention(StreamID, isRetained: Bool)
  /// To a publisher that has rejoined: what this node allows it, as ``PublisherOpened/quota``.
  case quota(StreamID, bytes: UInt64)
  case lagged(Lagged)
  case snapshot(SnapshotPart)
  case segmentPromised(SegmentPromised)
  /// To a publisher. The subscription's wake page comes beside it if it has one.
  case subscriberJoined(SubscriberJoined)
  /// To a publisher.
  case subscriberLeft(SubscriptionID, stream: StreamID, Departure)
}

/// The client has joined.
public struct Welcome: Hashable, Sendable {
  public var client: ClientID
  /// Bytes of the pool.
  public var contribution: UInt64
  /// Where this client's handle sender shall bind.
  public var handleEndpoint: String
  /// Which life of the node this is: another than before, and the client may rejoin with what it had.
  public var life: NodeLife
  /// The node runs within an application, and ends with it.
  public var isEmbedded: Bool
  /// The path where this client's bell shall be.
  public var bell: String

  public init(
    client: ClientID, contribution: UInt64, handleEndpoint: String, life: NodeLife, isEmbedded: Bool, bell: String
  ) {
    self.client = client
    self.contribution = contribution
    self.handleEndpoint = handleEndpoint
    self.life = life
    self.isEmbedded = isEmbedded
    self.bell = bell
  }
}

/// Why a node refuses.
public enum RefusalCode: Hashable, Sendable, CaseIterable {
  /// The client's message was none, or out of place. The connection ends with this.
  case malformed
  case version
  case poolExhausted
  case tooLarge
  case outOfMemory
  case notPermitted
  case limit
  /// Of a lease: as its publisher asked.
  case cancelled
  /// The node's own books are wrong: it leases nothing more.
  case nodeFault
}

/// The node will not do what was asked.
public struct Refusal: Hashable, Sendable {
  /// How many bytes of ``message`` travel; the rest is cut.
  public static let maximumMessageByteCount = 4096

  /// 0: answers no request.
  public var request: UInt64
  public var code: RefusalCode
  /// What, why, and what to do.
  public var message: String

  public init(request: UInt64, code: RefusalCode, message: String) {
    self.request = request
    self.code = code
    self.message = message
  }
}

/// The answer to ``OpenPublisher``.
public struct PublisherOpened: Hashable, Sendable {
  public var request: UInt64
  public var stream: StreamID
  /// Bytes that one segment can have: as many as its topic and its user may hold.
  public var quota: UInt64

  public init(request: UInt64, stream: StreamID, quota: UInt64) {
    self.request = request
    self.stream = stream
    self.quota = quota
  }
}

/// The answer to ``Subscribe``.
public struct Subscribed: Hashable, Sendable {
  public var request: UInt64
  public var subscription: SubscriptionID

  public init(request: UInt64, subscription: SubscriptionID) {
    self.request = request
    self.subscription = subscription
  }
}

/// A stream that the subscription matches. Precedes every segment of it.
public struct StreamIntroduced: Hashable, Sendable {
  public var subscription: SubscriptionID
  public var stream: StreamID
  public var topic: TopicName
  /// Where handles come from; empty if the publisher is gone.
  public var handleEndpoint: String
  /// The subscription receives messages from this one on.
  public var firstSequence: UInt64

  public init(
    subscription: SubscriptionID, stream: StreamID, topic: TopicName, handleEndpoint: String, firstSequence: UInt64
  ) {
    self.subscription = subscription
    self.stream = stream
    self.topic = topic
    self.handleEndpoint = handleEndpoint
    self.firstSequence = firstSequence
  }
}

/// No further segment of the stream will be handed. The subscription reads on to the last of those it has.
public struct StreamEnded: Hashable, Sendable {
  public var subscription: SubscriptionID
  public var stream: StreamID
  /// Its publisher was given up, or sent away, and not seen to end: it may go on at a later node, and the stream with it.
  public var mayReturn: Bool

  public init(subscription: SubscriptionID, stream: StreamID, mayReturn: Bool = false) {
    self.subscription = subscription
    self.stream = stream
    self.mayReturn = mayReturn
  }
}

/// A segment to write. A descriptor comes beside it unless it is warm.
public struct LeaseGranted: Hashable, Sendable {
  public var request: UInt64
  public var stream: StreamID
  public var segment: SegmentIdentity
  /// Bytes of the whole segment; from 1 to `Int.max`.
  public var capacity: UInt64
  /// The publisher has the segment mapped from its last epoch.
  public var warm: Bool
  /// Others wait for memory: seal what is filled.
  public var isShort: Bool

  public init(
    request: UInt64, stream: StreamID, segment: SegmentIdentity, capacity: UInt64, warm: Bool, isShort: Bool = false
  ) {
    self.request = request
    self.stream = stream
    self.segment = segment
    self.capacity = capacity
    self.warm = warm
    self.isShort = isShort
  }
}

/// A segment to read. A read-only descriptor comes beside it unless it is warm.
public struct SegmentHanded: Hashable, Sendable {
  public var subscription: SubscriptionID
  public var stream: StreamID
  public var segment: SegmentIdentity
  /// Bytes of the whole segment; from 1 to `Int.max`.
  public var capacity: UInt64
  /// The subscription has the segment mapped from an earlier epoch.
  public var warm: Bool
  /// The word of the subscription's wake page that acknowledges lives of the segment; 0 for none: it releases by message.
  public var place: UInt32

  public init(
    subscription: SubscriptionID, stream: StreamID, segment: SegmentIdentity, capacity: UInt64, warm: Bool,
    place: UInt32 = 0
  ) {
    self.subscription = subscription
    self.stream = stream
    self.segment = segment
    self.capacity = capacity
    self.warm = warm
    self.place = place
  }
}

/// To a publisher: a subscription holds a segment of its, and says in its wake page which life of it it has read.
public struct SegmentPromised: Hashable, Sendable {
  public var stream: StreamID
  public var segment: SegmentID
  public var subscription: SubscriptionID
  /// The word of the wake page.
  public var place: UInt32

  public init(stream: StreamID, segment: SegmentID, subscription: SubscriptionID, place: UInt32) {
    self.stream = stream
    self.segment = segment
    self.subscription = subscription
    self.place = place
  }
}

/// To a publisher: who listens to it.
public struct SubscriberJoined: Hashable, Sendable {
  public var stream: StreamID
  public var subscription: SubscriptionID
  /// How many subscriptions that hold something have joined the stream so far.
  public var joins: UInt64
  /// It wants every handle, and holds nothing.
  public var observes: Bool
  /// The path of its client's bell; there need not be one.
  public var bell: String

  public init(stream: StreamID, subscription: SubscriptionID, joins: UInt64, observes: Bool, bell: String) {
    self.stream = stream
    self.subscription = subscription
    self.joins = joins
    self.observes = observes
    self.bell = bell
  }
}

/// A life of a segment has ended, and the node waits for its release, which is said by message from here on.
public struct SegmentSealed: Hashable, Sendable {
  public var subscription: SubscriptionID
  public var stream: StreamID
  public var segment: SegmentIdentity
  public var slots: UInt32

  public init(subscription: SubscriptionID, stream: StreamID, segment: SegmentIdentity, slots: UInt32) {
    self.subscription = subscription
    self.stream = stream
    self.segment = segment
    self.slots = slots
  }
}
