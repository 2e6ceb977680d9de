import Vocabulary

extension NodeMessage {
  /// Bytes of an encoded message, at most: a packet's size.
  public static let maximumByteCount = 65_536

  /// - Throws: ``ProtocolError`` if an id is 0, a text too long, or the whole too large.
  public func encoded() throws(ProtocolError) -> [UInt8] {
    let message = try MessageWriter(.nodeMessage)
    switch self {
    case .welcome(let welcome): try message.put("welcome", welcome.write)
    case .refusal(let refusal): try message.put("refusal", refusal.write)
    case .publisherOpened(let opened): try message.put("publisher_opened", opened.write)
    case .subscribed(let subscribed): try message.put("subscribed", subscribed.write)
    case .streamIntroduced(let introduced): try message.put("stream_introduced", introduced.write)
    case .streamEnded(let ended): try message.put("stream_ended", ended.write)
    case .leaseGranted(let granted): try message.put("lease_granted", granted.write)
    case .segmentHanded(let handed): try message.put("segment_handed", handed.write)
    case .segmentSealed(let sealed): try message.put("segment_sealed", sealed.write)
    case .forgetSegment(let segment, let subscription):
      try message.put("forget_segment") { fields throws(ProtocolError) in
        try fields.putID("segment", segment)
        try fields.putOptionalID("subscription", subscription)
      }
    case .giveBack(let stream):
      try message.put("give_back") { fields throws(ProtocolError) in try fields.putID("stream", stream) }
    case .retention(let stream, let isRetained):
      try message.put("retention_changed") { fields throws(ProtocolError) in
        try fields.putID("stream", stream)
        try fields.put("retained", isRetained)
      }
    case .quota(let stream, let bytes):
      try message.put("quota_changed") { fields throws(ProtocolError) in
        try fields.putID("stream", stream)
        try fields.put("quota", bytes)
      }
    case .segmentPromised(let promised): try message.put("segment_promised", promised.write)
    case .lagged(let lagged): try message.put("lagged", lagged.write)
    case .snapshot(let part): try message.put("snapshot", part.write)
    case .subscriberJoined(let joined): try message.put("subscriber_joined", joined.write)
    case .subscriberLeft(let subscription, let stream, let departure):
      try message.put("subscriber_left") { fields throws(ProtocolError) in
        try fields.putID("stream", stream)
        try fields.putID("subscription", subscription)
        try fields.put("departure", departure)
      }
    }
    return try message.encoded(limit: Self.maximumByteCount)
  }

  /// - Throws: ``ProtocolError``, whatever a peer may have sent; it takes memory in proportion to the bytes.
  public static func decode(_ bytes: RawSpan) throws(ProtocolError) -> NodeMessage {
    let message = try MessageReader(decoding: bytes, as: .nodeMessage, limit: maximumByteCount)
    let (name, fields) = try message.body()
    switch name {
    case "welcome": return .welcome(try Welcome(fields))
    case "refusal": return .refusal(try Refusal(fields))
    case "publisher_opened": return .publisherOpened(try PublisherOpened(fields))
    case "subscribed": return .subscribed(try Subscribed(fields))
    case "stream_introduced": return .streamIntroduced(try StreamIntroduced(fields))
    case "stream_ended": return .streamEnded(try StreamEnded(fields))
    case "lease_granted": return .leaseGranted(try LeaseGranted(fields))
    case "segment_handed": return .segmentHanded(try SegmentHanded(fields))
    case "segment_sealed": return .segmentSealed(try SegmentSealed(fields))
    case "forget_segment": return .forgetSegment(try fields.id("segment"), by: try fields.optionalID("subscription"))
    case "give_back": return .giveBack(try fields.id("stream"))
    case "retention_changed": return .retention(try fields.id("stream"), isRetained: try fields.bool("retained"))
    case "quota_changed": return .quota(try fields.id("stream"), bytes: try fields.uint64("quota"))
    case "segment_promised": return .segmentPromised(try SegmentPromised(fields))
    case "lagged": return .lagged(try Lagged(fields))
    case "snapshot": return .snapshot(try SnapshotPart(fields))
    case "subscriber_joined": return .subscriberJoined(try SubscriberJoined(fields))
    case "subscriber_left":
      return .subscriberLeft(
        try fields.id("subscription"), stream: try fields.id("stream"), try fields.enumeration("departure"))
    default: throw message.invalid("body", "is \(name), which this version doesn't know")
    }
  }
}

extension Welcome {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    let number = try fields.uint32("life")
    guard let life = NodeLife(rawValue: number) else { throw fields.invalid("life", "is \(number), which is none") }
    self.init(
      client: try fields.id("client"), contribution: try fields.uint64("contribution"),
      handleEndpoint: try fields.text("handle_endpoint", limit: maximumTextByteCount), life: life,
      isEmbedded: try fields.bool("embedded"), bell: try fields.text("bell", limit: maximumTextByteCount))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("client", client)
    try fields.put("contribution", contribution)
    try fields.put("handle_endpoint", handleEndpoint, limit: maximumTextByteCount)
    try fields.put("life", life.rawValue)
    try fields.put("embedded", isEmbedded)
    try fields.put("bell", bell, limit: maximumTextByteCount)
  }
}

extension Refusal {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      request: try fields.uint64("request"), code: try fields.enumeration("code"),
      message: try fields.text("message", limit: Self.maximumMessageByteCount))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put("request", request)
    try fields.put("code", code)
    let limit = Self.maximumMessageByteCount
    try fields.put("message", message.cut(toByteCount: limit), limit: limit)
  }
}

extension PublisherOpened {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(request: try fields.id("request"), stream: try fields.id("stream"), quota: try fields.uint64("quota"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.putID("stream", stream)
    try fields.put("quota", quota)
  }
}

extension Subscribed {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(request: try fields.id("request"), subscription: try fields.id("subscription"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.putID("subscription", subscription)
  }
}

extension StreamIntroduced {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"), topic: try fields.topic(),
      handleEndpoint: try fields.text("handle_endpoint", limit: maximumTextByteCount),
      firstSequence: try fields.uint64("first_sequence"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put(topic)
    try fields.put("handle_endpoint", handleEndpoint, limit: maximumTextByteCount)
    try fields.put("first_sequence", firstSequence)
  }
}

extension SubscriberJoined {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      stream: try fields.id("stream"), subscription: try fields.id("subscription"), joins: try fields.uint64("joins"),
      observes: try fields.bool("observes"), bell: try fields.text("bell", limit: maximumTextByteCount))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("stream", stream)
    try fields.putID("subscription", subscription)
    try fields.put("joins", joins)
    try fields.put("observes", observes)
    try fields.put("bell", bell, limit: maximumTextByteCount)
  }
}

extension StreamEnded {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"),
      mayReturn: try fields.bool("may_return"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put("may_return", mayReturn)
  }
}
