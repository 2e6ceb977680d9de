import Vocabulary

// What a node says about segments.

extension LeaseGranted {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      request: try fields.id("request"), stream: try fields.id("stream"), segment: try fields.segment(),
      capacity: try fields.capacity(), warm: try fields.bool("warm"), isShort: try fields.bool("short"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("request", request)
    try fields.putID("stream", stream)
    try fields.put(segment)
    try fields.put(capacity: capacity)
    try fields.put("warm", warm)
    try fields.put("short", isShort)
  }
}

extension SegmentHanded {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"), segment: try fields.segment(),
      capacity: try fields.capacity(), warm: try fields.bool("warm"), place: try fields.uint32("place"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put(segment)
    try fields.put(capacity: capacity)
    try fields.put("warm", warm)
    try fields.put("place", place)
  }
}

extension SegmentPromised {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      stream: try fields.id("stream"), segment: try fields.id("segment"), subscription: try fields.id("subscription"),
      place: try fields.uint32("place"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("stream", stream)
    try fields.putID("segment", segment)
    try fields.putID("subscription", subscription)
    try fields.put("place", place)
  }
}

extension SegmentSealed {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"), segment: try fields.segment(),
      slots: try fields.uint32("slots"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put(segment)
    try fields.put("slots", slots)
  }
}

extension Lagged {
  init(_ fields: MessageReader) throws(ProtocolError) {
    let first = try fields.numbers("first", limit: Self.maximumRangeCount)
    let last = try fields.numbers("last", limit: Self.maximumRangeCount)
    guard first.count == last.count else {
      throw fields.invalid("last", "has \(last.count) elements, but first has \(first.count)")
    }
    var ranges: [ClosedRange<UInt64>] = []
    for (first, last) in zip(first, last) {
      guard first <= last else { throw fields.invalid("last", "is \(last), before the range's first, \(first)") }
      ranges.append(first...last)
    }
    self.init(
      subscription: try fields.id("subscription"), stream: try fields.id("stream"), ranges: ranges,
      bytes: try fields.uint64("bytes"))
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("stream", stream)
    try fields.put("first", ranges.map(\.lowerBound), limit: Self.maximumRangeCount)
    try fields.put("last", ranges.map(\.upperBound), limit: Self.maximumRangeCount)
    try fields.put("bytes", bytes)
  }
}
