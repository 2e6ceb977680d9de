/// What a message says about its payload; it lies beside the payload in the segment.
public struct MessageAttributes: Hashable, Sendable {
  /// A media type, as in `image/jpeg`.
  public var contentType: String?
  /// W3C Trace Context: the `traceparent` of the publisher's span.
  public var traceParent: String?
  /// W3C Trace Context: `tracestate`.
  public var traceState: String?
  /// The application's own keys and values.
  public var user: [String: String]

  public init(
    contentType: String? = nil, traceParent: String? = nil, traceState: String? = nil, user: [String: String] = [:]
  ) {
    self.contentType = contentType
    self.traceParent = traceParent
    self.traceState = traceState
    self.user = user
  }

  /// No attributes: they take no room.
  public static let none = MessageAttributes()

  public var isEmpty: Bool { contentType == nil && traceParent == nil && traceState == nil && user.isEmpty }
}

/// What announces a message, by datagram or over ZeroMQ: which segment and slot to look at.
public struct Handle: Hashable, Sendable {
  public var stream: StreamID
  public var segment: SegmentIdentity
  /// The last committed slot: a handle announces all before it, too.
  public var slot: UInt32
  /// The message's number in its stream, from 1.
  public var sequence: UInt64
  /// The payload's length.
  public var byteCount: UInt64
  /// Nanoseconds since 1970.
  public var publishTime: UInt64

  public init(
    stream: StreamID, segment: SegmentIdentity, slot: UInt32, sequence: UInt64, byteCount: UInt64, publishTime: UInt64
  ) {
    self.stream = stream
    self.segment = segment
    self.slot = slot
    self.sequence = sequence
    self.byteCount = byteCount
    self.publishTime = publishTime
  }
}
