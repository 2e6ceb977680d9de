import BusProtocol
import TestSupport
import Testing
import Vocabulary

/// Every field that a peer can get wrong, and the name it is refused by.
@Suite struct FieldTests {
  typealias Case = (body: UInt64, fields: [UInt8], error: String)

  @Test(
    arguments: [
      (1, Wire.number(1, 1 << 32), "Hello.protocol_version is 4294967296, which doesn't fit 32 bits"),
      (1, Wire.number(1, 1) + Wire.number(1, 1), "Hello.protocol_version comes twice"),
      (1, Wire.text(2, String(repeating: "x", count: 256)), "Hello.name has 256 bytes; 255 are allowed"),
      (1, Wire.text(2, "a\u{1b}[2J"), "Hello.name holds a control character"),
      (2, Wire.text(2, "a"), "OpenPublisher.request is missing, or 0"),
      (
        2, Wire.number(1, 1),
        "OpenPublisher.topic is no topic: it is empty; write one or more levels, as in 'camera/front'"
      ),
      (
        2, Wire.number(1, 1) + Wire.text(2, "a/*"),
        "OpenPublisher.topic is no topic: a topic can't hold '*': only a pattern can"
      ),
      (2, Wire.number(3, 3), "OpenPublisher.when_full is 3, which this version doesn't know"),
      (2, Wire.number(3, 1 << 40), "OpenPublisher.when_full is 1099511627776, which doesn't fit 32 bits"),
      (
        2, Wire.number(4, 1 << 63),
        "OpenPublisher.wait_timeout_ns is 9223372036854775808 ns; at most 9223372036854775807 are allowed"
      ),
      (
        2, Wire.number(1, 1) + Wire.text(2, "a") + Wire.bytes(5, Wire.number(3, .max)),
        "Retention.age_ns is 18446744073709551615 ns; at most 9223372036854775807 are allowed"
      ),
      (3, [], "ClosePublisher.stream is missing, or 0"),
      (4, Wire.text(2, "a"), "Subscribe.request is missing, or 0"),
      (
        4, Wire.number(1, 1) + Wire.text(2, "**/a"),
        "Subscribe.pattern is no pattern: '*' stands for a whole level and '**' only at the end, but a level here is '**'"
      ),
      (4, Wire.number(3, 2), "Subscribe.observes is 2, neither true nor false"),
      (5, [], "Unsubscribe.subscription is missing, or 0"),
      (6, Wire.number(1, 1), "RequestLease.stream is missing, or 0"),
      (
        6, Wire.number(1, 1) + Wire.number(2, 1),
        "RequestLease.capacity is 0 bytes: a segment has 1 to 9223372036854775807"
      ),
      (
        6, Wire.number(1, 1) + Wire.number(2, 1) + Wire.number(3, 1 << 63),
        "RequestLease.capacity is 9223372036854775808 bytes: a segment has 1 to 9223372036854775807"
      ),
      (
        6, Wire.number(1, 1) + Wire.number(2, 1) + Wire.number(3, 4096) + Wire.number(5, 4097),
        "RequestLease.minimum is 4097 bytes, more than the capacity's 4096"
      ),
      (7, Wire.number(1, 1), "SegmentReady.epoch is missing, or 0"),
      (8, Wire.number(2, 1), "SealSegment.segment is missing, or 0"),
      (8, Wire.number(2, 1 << 32 | 1), "SealSegment.epoch is 4294967297, which doesn't fit 32 bits"),
      (9, Wire.number(1, 1) + Wire.number(2, 1), "ReleaseSegment.subscription is missing, or 0"),
      (10, Wire.number(2, 1), "SegmentUnmapped.segment is missing, or 0"),
      (11, [], "Inspect.request is missing, or 0"),
      (12, [], "CancelLease.request is missing, or 0"),
      (14, Wire.text(2, "a"), "RejoinPublisher.stream is missing, or 0"),
      (14, Wire.bytes(7, [1, 0]), "RejoinPublisher.listeners holds 0, which is nobody's number"),
      (
        14, Wire.number(1, 1) + Wire.text(2, "a") + Wire.number(3, 3),
        "RejoinPublisher.when_full is 3, which this version doesn't know"
      ),
      (
        14, Wire.number(1, 1) + Wire.text(2, "a") + Wire.bytes(7, [UInt8](repeating: 1, count: 4097)),
        "RejoinPublisher.listeners has 4097 elements; 4096 are allowed"
      ),
      (15, Wire.text(2, "a"), "RejoinSubscription.subscription is missing, or 0"),
      (16, Wire.number(1, 1), "RejoinCursor.stream is missing, or 0"),
      (
        17, Wire.number(1, 1) + Wire.number(2, 1),
        "OfferSegment.capacity is 0 bytes: a segment has 1 to 9223372036854775807"
      ),
      (17, Wire.number(5, 1) + Wire.number(7, 3), "OfferSegment.progress is 3, which this version doesn't know"),
    ] as [Case])
  func `a client's bad field is named`(body: UInt64, fields: [UInt8], error: String) {
    #expect(clientError(Wire.bytes(body, fields))?.description == error)
  }

  static let ids = Wire.number(1, 1) + Wire.number(2, 1)

  @Test(
    arguments: [
      (1, Wire.number(4, 1), "Welcome.client is missing, or 0"),
      (1, Wire.number(1, 1) + Wire.number(4, 1 << 21), "Welcome.life is 2097152, which is none"),
      (2, Wire.number(2, 99), "Refusal.code is 99, which this version doesn't know"),
      (2, Wire.text(3, String(repeating: "x", count: 4097)), "Refusal.message has 4097 bytes; 4096 are allowed"),
      (11, ids + Wire.number(3, 1), "Lagged.last has 0 elements, but first has 1"),
      (11, ids + Wire.number(3, 2) + Wire.number(4, 1), "Lagged.last is 1, before the range's first, 2"),
      (11, ids + Wire.bytes(3, [UInt8](repeating: 1, count: 2049)), "Lagged.first has 2049 elements; 2048 are allowed"),
      (12, Wire.number(1, 1) + Wire.number(2, 1), "Snapshot.pool is missing in the last part"),
      (12, Wire.number(1, 1) + Wire.bytes(3, []), "Snapshot.pool is there before the last part"),
      (
        12, Wire.number(1, 1) + Wire.bytes(4, Wire.number(1, 1) + Wire.number(3, 1 << 31)),
        "ClientRow.pid is no process id"
      ),
      (12, Wire.number(1, 1) + Wire.bytes(4, Wire.number(4, 1 << 32)), "ClientRow.uid is no user id"),
      (12, Wire.number(1, 1) + Wire.bytes(10, Wire.number(1, 1 << 32)), "UserRow.uid is no user id"),
      (
        12, Wire.number(1, 1) + Wire.bytes(8, ids + Wire.number(3, 5)),
        "SegmentRow.state is 5, which this version doesn't know"
      ),
      (
        12, Wire.number(1, 1) + Wire.bytes(9, ids + Wire.number(4, 5)),
        "HolderRow.reason is 5, which this version doesn't know"
      ),
      (18, Wire.number(2, 1), "QuotaChanged.stream is missing, or 0"),
    ] as [Case])
  func `a node's bad field is named`(body: UInt64, fields: [UInt8], error: String) {
    #expect(nodeError(Wire.bytes(body, fields))?.description == error)
  }

  /// Each text of the schemas: how to wrap it, and its name.
  static let clientTexts: [(wrap: @Sendable ([UInt8]) -> [UInt8], name: String)] = [
    ({ Wire.bytes(1, Wire.bytes(2, $0)) }, "Hello.name"),
    ({ Wire.bytes(2, Wire.bytes(2, $0)) }, "OpenPublisher.topic"),
    ({ Wire.bytes(4, Wire.bytes(2, $0)) }, "Subscribe.pattern"),
  ]
  static let nodeTexts: [(wrap: @Sendable ([UInt8]) -> [UInt8], name: String)] = [
    ({ Wire.bytes(1, Wire.bytes(3, $0)) }, "Welcome.handle_endpoint"),
    ({ Wire.bytes(1, Wire.bytes(6, $0)) }, "Welcome.bell"),
    ({ Wire.bytes(2, Wire.bytes(3, $0)) }, "Refusal.message"),
    ({ Wire.bytes(5, Wire.bytes(3, $0)) }, "StreamIntroduced.topic"),
    ({ Wire.bytes(5, Wire.bytes(4, $0)) }, "StreamIntroduced.handle_endpoint"),
    ({ Wire.bytes(13, Wire.bytes(5, $0)) }, "SubscriberJoined.bell"),
    ({ Wire.bytes(12, Wire.bytes(3, Wire.bytes(12, $0))) }, "PoolRow.huge_pages"),
    ({ Wire.bytes(12, Wire.bytes(4, Wire.bytes(2, $0))) }, "ClientRow.name"),
    ({ Wire.bytes(12, Wire.bytes(5, Wire.bytes(1, $0))) }, "TopicRow.topic"),
    ({ Wire.bytes(12, Wire.bytes(6, Wire.bytes(3, $0))) }, "StreamRow.topic"),
    ({ Wire.bytes(12, Wire.bytes(6, Wire.bytes(4, $0))) }, "StreamRow.handle_endpoint"),
    ({ Wire.bytes(12, Wire.bytes(7, Wire.bytes(3, $0))) }, "SubscriptionRow.pattern"),
    ({ Wire.bytes(12, Wire.bytes(8, Wire.bytes(6, $0))) }, "SegmentRow.topic"),
  ]
  static let attributeTexts: [(wrap: @Sendable ([UInt8]) -> [UInt8], name: String)] = [
    ({ Wire.bytes(1, $0) }, "Attributes.content_type"),
    ({ Wire.bytes(2, $0) }, "Attributes.trace_parent"),
    ({ Wire.bytes(3, $0) }, "Attributes.trace_state"),
    ({ Wire.bytes(4, Wire.bytes(1, $0)) }, "Attribute.key"),
    ({ Wire.bytes(4, Wire.bytes(2, $0)) }, "Attribute.value"),
  ]

  @Test(
    arguments: [
      ([0x61, 0, 0x62], "holds a NUL"),
      ([0], "holds a NUL"),
      ([0x61, 0xff], "is not valid UTF-8"),
      ([0xc0, 0x80], "is not valid UTF-8"),
      ([0xed, 0xa0, 0x80], "is not valid UTF-8"),
      ([0xe6, 0x97], "is not valid UTF-8"),
    ] as [([UInt8], String)])
  func `no text holds a NUL or bad UTF-8`(bytes: [UInt8], problem: String) {
    for text in Self.clientTexts { #expect(clientError(text.wrap(bytes))?.description == "\(text.name) \(problem)") }
    for text in Self.nodeTexts { #expect(nodeError(text.wrap(bytes))?.description == "\(text.name) \(problem)") }
    for text in Self.attributeTexts {
      #expect(attributesError(text.wrap(bytes))?.description == "\(text.name) \(problem)")
    }
  }

  @Test(
    arguments: [
      (.hello(Hello(name: "a\0b")), "Hello.name holds a control character"),
      (.hello(Hello(name: String(repeating: "x", count: 256))), "Hello.name has 256 bytes; 255 are allowed"),
      (.closePublisher(StreamID(rawValue: 0)), "ClosePublisher.stream is 0"),
      (.inspect(request: 0), "Inspect.request is 0"),
      (.segmentReady(SegmentIdentity(id: SegmentID(rawValue: 1), epoch: 0)), "SegmentReady.epoch is 0"),
      (
        .requestLease(RequestLease(request: 1, stream: StreamID(rawValue: 1), capacity: 0, isAhead: false)),
        "RequestLease.capacity is 0 bytes: a segment has 1 to 9223372036854775807"
      ),
      (
        .subscribe(
          Subscribe(
            request: 1, pattern: try! TopicPattern("**"), observes: false, wantsRetained: false,
            backlog: BacklogLimit(messages: 0))),
        "Subscribe.backlog_messages is 0; a limit is at least 1"
      ),
    ] as [(ClientMessage, String)])
  func `what could not be decoded is not encoded`(message: ClientMessage, error: String) {
    let thrown = #expect(throws: ProtocolError.self) { try message.encoded() }
    #expect(thrown?.description == error)
  }

  @Test func `a lag that was not split is not encoded`() {
    var samples = Samples(seed: 1)
    let lagged = samples.lagged(rangeCount: Lagged.maximumRangeCount + 1)
    #expect(throws: ProtocolError.self) { try NodeMessage.lagged(lagged).encoded() }
  }
}
