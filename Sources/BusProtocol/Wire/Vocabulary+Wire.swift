import Vocabulary

// How the vocabulary lies in fields: 0 is no id, no limit, for ever; what isn't set is left out.

/// Bytes of UTF-8 that names, endpoints and other short texts may have.
let maximumTextByteCount = 255

/// ``FullPolicy`` without its timeout.
private enum FullPolicyKind: CaseIterable {
  case wait, fail, evictOldest
}

extension MessageReader {
  /// An id, or the number of a request: never 0.
  func id(_ name: StaticString) throws(ProtocolError) -> UInt64 {
    let value = try uint64(name)
    guard value != 0 else { throw invalid(name, "is missing, or 0") }
    return value
  }

  func id<ID: RawRepresentable<UInt64>>(_ name: StaticString, as _: ID.Type = ID.self) throws(ProtocolError) -> ID {
    guard let id = ID(rawValue: try id(name)) else { throw invalid(name, "is no id") }
    return id
  }

  /// An id that may be absent.
  func optionalID<ID: RawRepresentable<UInt64>>(_ name: StaticString) throws(ProtocolError) -> ID? {
    try uint64(name) == 0 ? nil : try id(name)
  }

  func segment() throws(ProtocolError) -> SegmentIdentity {
    let epoch = try uint32("epoch")
    guard epoch != 0 else { throw invalid("epoch", "is missing, or 0") }
    return SegmentIdentity(id: try id("segment"), epoch: epoch)
  }

  /// Bytes of a segment.
  func capacity() throws(ProtocolError) -> UInt64 {
    let capacity = try uint64("capacity")
    guard capacity > 0, capacity <= Int.max else {
      throw invalid("capacity", "is \(capacity) bytes: a segment has 1 to \(Int.max)")
    }
    return capacity
  }

  func topic() throws(ProtocolError) -> TopicName {
    let text = try text("topic", limit: TopicName.maximumByteCount)
    do { return try TopicName(text) } catch { throw invalid("topic", "is no topic: \(error.problem)") }
  }

  func pattern() throws(ProtocolError) -> TopicPattern {
    let text = try text("pattern", limit: TopicName.maximumByteCount)
    do { return try TopicPattern(text) } catch { throw invalid("pattern", "is no pattern: \(error.problem)") }
  }

  /// Nanoseconds; nil for 0.
  func duration(_ name: StaticString) throws(ProtocolError) -> Duration? {
    let nanoseconds = try uint64(name)
    guard let nanoseconds = Int64(exactly: nanoseconds) else {
      throw invalid(name, "is \(nanoseconds) ns; at most \(Int64.max) are allowed")
    }
    return nanoseconds == 0 ? nil : .nanoseconds(nanoseconds)
  }

  func limit(_ name: StaticString) throws(ProtocolError) -> UInt64? {
    let limit = try uint64(name)
    return limit == 0 ? nil : limit
  }

  func fullPolicy() throws(ProtocolError) -> FullPolicy {
    let kind: FullPolicyKind = try enumeration("when_full")
    return switch kind {
    case .wait: .wait(timeout: try duration("wait_timeout_ns"))
    case .fail: .fail
    case .evictOldest: .evictOldest
    }
  }

  func backlog() throws(ProtocolError) -> BacklogLimit {
    BacklogLimit(messages: try limit("backlog_messages"), bytes: try limit("backlog_bytes"))
  }

  func retention() throws(ProtocolError) -> Retention? {
    guard let fields = try submessage("retention") else { return nil }
    return Retention(
      messages: try fields.limit("messages"), bytes: try fields.limit("bytes"), age: try fields.duration("age_ns"))
  }
}

extension MessageWriter {
  /// An id, or the number of a request: never 0.
  func putID(_ name: StaticString, _ value: UInt64) throws(ProtocolError) {
    guard value != 0 else { throw invalid(name, "is 0") }
    try put(name, value)
  }

  func putID(_ name: StaticString, _ id: some RawRepresentable<UInt64>) throws(ProtocolError) {
    try putID(name, id.rawValue)
  }

  func putOptionalID(_ name: StaticString, _ id: (some RawRepresentable<UInt64>)?) throws(ProtocolError) {
    if let id { try putID(name, id) }
  }

  func put(_ segment: SegmentIdentity) throws(ProtocolError) {
    guard segment.epoch != 0 else { throw invalid("epoch", "is 0") }
    try putID("segment", segment.id)
    try put("epoch", segment.epoch)
  }

  func put(capacity: UInt64) throws(ProtocolError) {
    guard capacity > 0, capacity <= Int.max else {
      throw invalid("capacity", "is \(capacity) bytes: a segment has 1 to \(Int.max)")
    }
    try put("capacity", capacity)
  }

  func put(_ topic: TopicName) throws(ProtocolError) {
    try put("topic", topic.text, limit: TopicName.maximumByteCount)
  }

  func put(_ pattern: TopicPattern) throws(ProtocolError) {
    try put("pattern", pattern.text, limit: TopicName.maximumByteCount)
  }

  func put(_ policy: FullPolicy) throws(ProtocolError) {
    switch policy {
    case .wait(let timeout):
      try put("when_full", FullPolicyKind.wait)
      try put("wait_timeout_ns", UInt64(max(timeout?.clampedNanoseconds ?? 0, timeout == nil ? 0 : 1)))
    case .fail: try put("when_full", FullPolicyKind.fail)
    case .evictOldest: try put("when_full", FullPolicyKind.evictOldest)
    }
  }

  func put(_ backlog: BacklogLimit) throws(ProtocolError) {
    guard backlog.messages != 0 else { throw invalid("backlog_messages", "is 0; a limit is at least 1") }
    guard backlog.bytes != 0 else { throw invalid("backlog_bytes", "is 0; a limit is at least 1") }
    try put("backlog_messages", backlog.messages ?? 0)
    try put("backlog_bytes", backlog.bytes ?? 0)
  }

  /// A limit of 0 keeps nothing, which travels as no limit at all being set.
  func put(_ retention: Retention) throws(ProtocolError) {
    try put("retention") { fields throws(ProtocolError) in
      let age = retention.age?.clampedNanoseconds
      guard retention.messages != 0, retention.bytes != 0, age ?? 1 > 0 else { return }
      try fields.put("messages", retention.messages ?? 0)
      try fields.put("bytes", retention.bytes ?? 0)
      try fields.put("age_ns", UInt64(age ?? 0))
    }
  }
}

extension Duration {
  /// Whole nanoseconds, of which an `Int64` holds 292 years: a longer duration becomes that.
  var clampedNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, exceeds) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflows || exceeds ? (seconds < 0 ? .min : .max) : sum
  }
}
