import Vocabulary

extension RejoinPublisher {
  init(_ fields: MessageReader) throws(ProtocolError) {
    let listeners = try fields.numbers("listeners", limit: Self.maximumListenerCount)
    guard !listeners.contains(0) else { throw fields.invalid("listeners", "holds 0, which is nobody's number") }
    self.init(
      stream: try fields.id("stream"), topic: try fields.topic(), whenFull: try fields.fullPolicy(),
      retention: try fields.retention(), lastSequence: try fields.uint64("last_sequence"),
      listeners: listeners.map(SubscriptionID.init(rawValue:)), opened: try fields.uint64("opened_ns"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("stream", stream)
    try fields.put(topic)
    try fields.put(whenFull)
    if let retention { try fields.put(retention) }
    try fields.put("last_sequence", lastSequence)
    try fields.put("listeners", listeners.map(\.rawValue), limit: Self.maximumListenerCount)
    try fields.put("opened_ns", opened)
  }
}

extension RejoinSubscription {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), pattern: try fields.pattern(), observes: try fields.bool("observes"),
      wantsRetained: try fields.bool("wants_retained"), backlog: try fields.backlog(),
      joined: try fields.uint64("joined_ns"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.put(pattern)
    try fields.put("observes", observes)
    try fields.put("wants_retained", wantsRetained)
    try fields.put(backlog)
    try fields.put("joined_ns", joined)
  }
}

extension RejoinCursor {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"), topic: try fields.topic(),
      nextSequence: try fields.uint64("next_sequence"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put(topic)
    try fields.put("next_sequence", nextSequence)
  }
}

extension OfferSegment {
  init(_ fields: MessageReader) throws(ProtocolError) {
    let subscription: SubscriptionID? = try fields.optionalID("subscription")
    let progress: ReadingProgress = try fields.enumeration("progress")
    let use: Use =
      if let subscription { .reading(subscription, progress) } else { .writing(isSealed: try fields.bool("sealed")) }
    self.init(
      segment: try fields.segment(), capacity: try fields.capacity(), stream: try fields.id("stream"), use: use)
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put(segment)
    try fields.put(capacity: capacity)
    try fields.putID("stream", stream)
    switch use {
    case .writing(let isSealed): try fields.put("sealed", isSealed)
    case .reading(let subscription, let progress):
      try fields.putID("subscription", subscription)
      try fields.put("progress", progress)
    }
  }
}
