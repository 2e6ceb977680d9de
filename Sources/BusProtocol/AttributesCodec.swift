import Vocabulary

/// Attributes as they lie in a segment beside a payload.
public enum AttributesCodec {
  /// Bytes of encoded attributes, at most.
  public static let maximumByteCount = 16_384

  /// Equal attributes give equal bytes; ``MessageAttributes/none`` gives none. An empty text is as good as no text.
  /// - Throws: ``ProtocolError`` if they take more than ``maximumByteCount``, hold a NUL, or the `traceParent` is none.
  public static func encode(_ attributes: MessageAttributes) throws(ProtocolError) -> [UInt8] {
    if attributes.isEmpty { return [] }
    let message = try MessageWriter(.attributes)
    try message.put("content_type", attributes.contentType ?? "", limit: maximumByteCount)
    if let parent = attributes.traceParent {
      guard isTraceParent(parent) else { throw message.invalid("trace_parent", notATraceParent) }
      try message.put("trace_parent", parent, limit: maximumByteCount)
    }
    try message.put("trace_state", attributes.traceState ?? "", limit: maximumByteCount)
    // A pair takes five bytes or more: sort no more of them than may pass.
    guard attributes.user.count <= maximumByteCount / 2 else {
      throw message.invalid(
        "user", "has \(attributes.user.count) elements; they take more than \(maximumByteCount) bytes")
    }
    let pairs = attributes.user.sorted { $0.key < $1.key }
    try message.put("user", pairs) { pair, fields throws(ProtocolError) in
      try fields.put("key", pair.key, limit: maximumByteCount)
      try fields.put("value", pair.value, limit: maximumByteCount)
    }
    return try message.encoded(limit: maximumByteCount)
  }

  /// - Throws: ``ProtocolError``, whatever a publisher may have written.
  public static func decode(_ bytes: RawSpan) throws(ProtocolError) -> MessageAttributes {
    if bytes.isEmpty { return .none }
    let message = try MessageReader(decoding: bytes, as: .attributes, limit: maximumByteCount)
    func text(_ name: StaticString) throws(ProtocolError) -> String? {
      let text = try message.text(name, limit: maximumByteCount)
      return text.isEmpty ? nil : text
    }
    let parent = try text("trace_parent")
    if let parent, !isTraceParent(parent) { throw message.invalid("trace_parent", notATraceParent) }
    let pairs = try message.submessages("user") { fields throws(ProtocolError) in
      (key: try fields.text("key", limit: maximumByteCount), value: try fields.text("value", limit: maximumByteCount))
    }
    var user: [String: String] = [:]
    for (key, value) in pairs {
      guard user.updateValue(value, forKey: key) == nil else { throw message.invalid("user", "has '\(key)' twice") }
    }
    return MessageAttributes(
      contentType: try text("content_type"), traceParent: parent, traceState: try text("trace_state"), user: user)
  }

  private static let notATraceParent =
    "is no W3C traceparent: write 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case"

  private static func isTraceParent(_ text: String) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "00" else { return false }
    let lengths = [2, 32, 16, 2]
    return zip(parts, lengths).allSatisfy { part, length in
      part.utf8.count == length && part.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }
  }
}
