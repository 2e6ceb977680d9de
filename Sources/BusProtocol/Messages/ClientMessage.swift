import Vocabulary

/// What a client says to its node: one message a packet.
public enum ClientMessage: Hashable, Sendable {
  /// Always a client's first message.
  case hello(Hello)
  case openPublisher(OpenPublisher)
  case closePublisher(StreamID)
  case subscribe(Subscribe)
  case unsubscribe(SubscriptionID)
  case requestLease(RequestLease)
  /// The publisher has mapped the segment for writing: the node may seal it and hand it on.
  case segmentReady(SegmentIdentity)
  /// The publisher will commit nothing more.
  case sealSegment(SegmentIdentity)
  /// The subscription has moved past the segment, but still borrows from it: it may be handed the next.
  case segmentPassed(SegmentIdentity, by: SubscriptionID)
  /// The subscription has moved past the segment and borrows nothing of it. It may still have it mapped.
  case releaseSegment(SegmentIdentity, by: SubscriptionID)
  /// The answer to ``NodeMessage/forgetSegment(_:by:)``; nil speaks of the publisher's own mapping.
  case segmentUnmapped(SegmentID, by: SubscriptionID?)
  case inspect(request: UInt64)
  /// Gives a waiting lease up. If it was granted meanwhile, the grant stands.
  case cancelLease(request: UInt64)
  // After the node has started anew, right after its Welcome:
  case rejoinPublisher(RejoinPublisher)
  case rejoinSubscription(RejoinSubscription)
  case rejoinCursor(RejoinCursor)
  case offerSegment(OfferSegment)
  case rejoinDone
}

/// Who joins, and which protocol it speaks.
public struct Hello: Hashable, Sendable {
  /// The version that this library speaks.
  public static let currentProtocolVersion: UInt32 = 3
  /// How many bytes of UTF-8 a name may have. Control characters are not allowed in it.
  public static let maximumNameByteCount = 255

  public var protocolVersion: UInt32
  /// For people: `busctl` shows it.
  public var name: String

  public init(protocolVersion: UInt32 = Hello.currentProtocolVersion, name: String) {
    self.protocolVersion = protocolVersion
    self.name = name
  }
}

/// Opens a stream on a topic.
public struct OpenPublisher: Hashable, Sendable {
  /// The client's own number for the request, from 1; the answer repeats it.
  public var request: UInt64
  public var topic: TopicName
  /// What to do when the pool is full. A timeout of less than a nanosecond travels as one, one of more than 292 years
  /// as that.
  public var whenFull: FullPolicy
  /// Nil leaves the topic's retention as it is.
  public var retention: Retention?

  public init(request: UInt64, topic: TopicName, whenFull: FullPolicy, retention: Retention?) {
    self.request = request
    self.topic = topic
    self.whenFull = whenFull
    self.retention = retention
  }
}

/// Asks for the streams of a pattern's topics. The subscription's wake page may come beside it.
public struct Subscribe: Hashable, Sendable {
  /// The client's own number for the request, from 1; the answer repeats it.
  public var request: UInt64
  public var pattern: TopicPattern
  /// Wants handles only: is promised nothing, holds nothing.
  public var observes: Bool
  public var wantsRetained: Bool
  /// A limit that is set is at least 1.
  public var backlog: BacklogLimit

  public init(request: UInt64, pattern: TopicPattern, observes: Bool, wantsRetained: Bool, backlog: BacklogLimit) {
    self.request = request
    self.pattern = pattern
    self.observes = observes
    self.wantsRetained = wantsRetained
    self.backlog = backlog
  }
}

/// Asks for a segment of a stream.
public struct RequestLease: Hashable, Sendable {
  /// The client's own number for the request, from 1; the answer repeats it.
  public var request: UInt64
  public var stream: StreamID
  /// Bytes of the whole segment; from 1 to `Int.max`.
  public var capacity: UInt64
  /// Not needed yet: nothing is evicted for it, and it does not wait.
  public var isAhead: Bool
  /// Bytes that will do while memory is short, or never enough: the segment then has a multiple of them. From 1 to
  /// ``capacity``.
  public var minimum: UInt64

  /// - Parameter minimum: nil for no fewer than `capacity`.
  public init(request: UInt64, stream: StreamID, capacity: UInt64, isAhead: Bool, minimum: UInt64? = nil) {
    self.request = request
    self.stream = stream
    self.capacity = capacity
    self.isAhead = isAhead
    self.minimum = minimum ?? capacity
  }
}
