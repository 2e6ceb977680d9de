import Vocabulary

extension ClientMessage {
  /// Bytes of an encoded message, at most: a packet's size.
  public static let maximumByteCount = 65_536

  /// - Throws: ``ProtocolError`` if an id is 0, a text too long, or the whole too large.
  public func encoded() throws(ProtocolError) -> [UInt8] {
    let message = try MessageWriter(.clientMessage)
    switch self {
    case .hello(let hello):
      try message.put("hello", hello.write)
    case .openPublisher(let open):
      try message.put("open_publisher", open.write)
    case .closePublisher(let stream):
      try message.put("close_publisher") { fields throws(ProtocolError) in try fields.putID("stream", stream) }
    case .subscribe(let subscribe):
      try message.put("subscribe", subscribe.write)
    case .unsubscribe(let subscription):
      try message.put("unsubscribe") { fields throws(ProtocolError) in
        try fields.putID("subscription", subscription)
      }
    case .requestLease(let request):
      try message.put("request_lease", request.write)
    case .segmentReady(let segment):
      try message.put("segment_ready") { fields throws(ProtocolError) in try fields.put(segment) }
    case .sealSegment(let segment):
      try message.put("seal_segment") { fields throws(ProtocolError) in try fields.put(segment) }
    case .segmentPassed(let segment, let subscription):
      try message.put("segment_passed") { fields throws(ProtocolError) in
        try fields.put(segment)
        try fields.putID("subscription", subscription)
      }
    case .releaseSegment(let segment, let subscription):
      try message.put("release_segment") { fields throws(ProtocolError) in
        try fields.put(segment)
        try fields.putID("subscription", subscription)
      }
    case .segmentUnmapped(let segment, let subscription):
      try message.put("segment_unmapped") { fields throws(ProtocolError) in
        try fields.putID("segment", segment)
        try fields.putOptionalID("subscription", subscription)
      }
    case .inspect(let request):
      try message.put("inspect") { fields throws(ProtocolError) in try fields.putID("request", request) }
    case .cancelLease(let request):
      try message.put("cancel_lease") { fields throws(ProtocolError) in try fields.putID("request", request) }
    case .rejoinPublisher(let publisher): try message.put("rejoin_publisher", publisher.write)
    case .rejoinSubscription(let subscription): try message.put("rejoin_subscription", subscription.write)
    case .rejoinCursor(let cursor): try message.put("rejoin_cursor", cursor.write)
    case .offerSegment(let offer): try message.put("offer_segment", offer.write)
    case .rejoinDone: try message.put("rejoin_done") { _ throws(ProtocolError) in }
    }
    return try message.encoded(limit: Self.maximumByteCount)
  }

  /// - Throws: ``ProtocolError``, whatever a peer may have sent; it takes memory in proportion to the bytes.
  public static func decode(_ bytes: RawSpan) throws(ProtocolError) -> ClientMessage {
    let message = try MessageReader(decoding: bytes, as: .clientMessage, limit: maximumByteCount)
    let (name, fields) = try message.body()
    switch name {
    case "hello": return .hello(try Hello(fields))
    case "open_publisher": return .openPublisher(try OpenPublisher(fields))
    case "close_publisher": return .closePublisher(try fields.id("stream"))
    case "subscribe": return .subscribe(try Subscribe(fields))
    case "unsubscribe": return .unsubscribe(try fields.id("subscription"))
    case "request_lease": return .requestLease(try RequestLease(fields))
    case "segment_ready": return .segmentReady(try fields.segment())
    case "seal_segment": return .sealSegment(try fields.segment())
    case "segment_passed": return .segmentPassed(try fields.segment(), by: try fields.id("subscription"))
    case "release_segment": return .releaseSegment(try fields.segment(), by: try fields.id("subscription"))
    case "segment_unmapped":
      return .segmentUnmapped(try fields.id("segment"), by: try fields.optionalID("subscription"))
    case "inspect": return .inspect(request: try fields.id("request"))
    case "cancel_lease": return .cancelLease(request: try fields.id("request"))
    case "rejoin_publisher": return .rejoinPublisher(try RejoinPublisher(fields))
    case "rejoin_subscription": return .rejoinSubscription(try RejoinSubscription(fields))
    case "rejoin_cursor": return .rejoinCursor(try RejoinCursor(fields))
    case "offer_segment": return .offerSegment(try OfferSegment(fields))
    case "rejoin_done": return .rejoinDone
    default: throw message.invalid("body", "is \(name), which this version doesn't know")
    }
  }
}

extension Hello {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      protocolVersion: try fields.uint32("protocol_version"),
      name: try fields.text("name", limit: Self.maximumNameByteCount))
    if hasControlCharacter { throw fields.invalid("name", "holds a control character") }
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    if hasControlCharacter { throw fields.invalid("name", "holds a control character") }
    try fields.put("protocol_version", protocolVersion)
    try fields.put("name", name, limit: Self.maximumNameByteCount)
  }

  /// It would reach the terminals of others, through `busctl`.
  private var hasControlCharacter: Bool { name.unicodeScalars.contains { $0.properties.generalCategory == .control } }
}

extension OpenPublisher {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    // In this order, so that the policy's fields are named first.
    let policy = try fields.fullPolicy()
    self.init(
      request: try fields.id("request"), topic: try fields.topic(), whenFull: policy,
      retention: try fields.retention())
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.put(topic)
    try fields.put(whenFull)
    if let retention { try fields.put(retention) }
  }
}

extension Subscribe {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      request: try fields.id("request"), pattern: try fields.pattern(), observes: try fields.bool("observes"),
      wantsRetained: try fields.bool("wants_retained"), backlog: try fields.backlog())
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.put(pattern)
    try fields.put("observes", observes)
    try fields.put("wants_retained", wantsRetained)
    try fields.put(backlog)
  }
}

extension RequestLease {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    let (request, stream): (UInt64, StreamID) = (try fields.id("request"), try fields.id("stream"))
    let (capacity, minimum) = (try fields.capacity(), try fields.uint64("minimum"))
    guard minimum <= capacity else {
      throw fields.invalid("minimum", "is \(minimum) bytes, more than the capacity's \(capacity)")
    }
    self.init(
      request: request, stream: stream, capacity: capacity, isAhead: try fields.bool("ahead"),
      minimum: minimum == 0 ? nil : minimum)
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.putID("stream", stream)
    try fields.put(capacity: capacity)
    try fields.put("ahead", isAhead)
    guard minimum <= capacity else {
      throw fields.invalid("minimum", "is \(minimum) bytes, more than the capacity's \(capacity)")
    }
    try fields.put("minimum", minimum == capacity ? 0 : minimum)
  }
}
