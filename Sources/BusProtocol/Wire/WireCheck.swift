/// Checks a message's bytes before protobuf-c parses them, for what its parser lets pass or alters silently: texts with
/// a NUL or bad UTF-8, numbers too wide for their field, fields that come twice.
///
/// It descends only into messages that the schema knows, and the schema is not recursive. Unknown fields are skipped.
func checkWire(_ bytes: RawSpan, as schema: Schema) throws(ProtocolError) {
  var cursor = WireCursor(bytes: bytes)
  var seen: UInt64 = 0
  var hasOneOf = false

  while !cursor.isAtEnd {
    guard let (number, value) = cursor.next() else {
      throw ProtocolError(message: schema.name, problem: "is cut short, or is no protobuf message")
    }
    guard let field = schema.field(numbered: number) else { continue }
    func invalid(_ problem: String) -> ProtocolError {
      ProtocolError(message: schema.name, field: field.name, problem: problem)
    }

    if !field.isRepeated {
      let bit: UInt64 = 1 << UInt64(min(number, 63))
      guard seen & bit == 0 else { throw invalid("comes twice") }
      seen |= bit
    }
    if field.isOneOf {
      guard !hasOneOf else { throw invalid("is a second body: one is allowed") }
      hasOneOf = true
    }

    switch (field.kind, value) {
    case (.uint64, .varint), (.fixed64, .fixed64): break
    case (.uint32, .varint(let number)), (.enumeration, .varint(let number)):
      guard number <= UInt32.max else { throw invalid("is \(number), which doesn't fit 32 bits") }
    case (.bool, .varint(let number)):
      guard number <= 1 else { throw invalid("is \(number), neither true nor false") }
    case (.text, .bytes(let range)):
      if let problem = problem(ofText: bytes.extracting(range)) { throw invalid(problem) }
    case (.message, .bytes(let range)):
      if let schema = field.schema { try checkWire(bytes.extracting(range), as: schema) }
    case (.uint64, .bytes) where field.isRepeated: break  // packed
    default: throw invalid("is encoded as another type")
    }
  }
}

private func problem(ofText bytes: RawSpan) -> String? {
  // SAFETY: the buffer is used within the closure.
  unsafe bytes.withUnsafeBytes { bytes in
    if unsafe bytes.contains(0) { return "holds a NUL" }
    if unsafe String(validating: bytes, as: UTF8.self) == nil { return "is not valid UTF-8" }
    return nil
  }
}

/// Steps over the fields of one message.
private struct WireCursor: ~Escapable {
  enum Value {
    case varint(UInt64)
    case fixed64
    case fixed32
    /// Where they lie.
    case bytes(Range<Int>)
  }

  private let bytes: RawSpan
  private var offset = 0

  @_lifetime(copy bytes)
  init(bytes: RawSpan) { self.bytes = bytes }

  var isAtEnd: Bool { offset == bytes.byteCount }

  /// The next field's number and value; nil if the bytes are no such thing.
  @_lifetime(self: copy self)
  mutating func next() -> (number: UInt32, value: Value)? {
    guard let tag = varint(maximumByteCount: 5), let tag = UInt32(exactly: tag), tag >> 3 > 0 else { return nil }
    let value: Value
    switch tag & 7 {
    case 0:
      guard let number = varint(maximumByteCount: 10) else { return nil }
      value = .varint(number)
    case 1:
      guard skip(8) != nil else { return nil }
      value = .fixed64
    case 2:
      guard let count = varint(maximumByteCount: 5), let range = skip(count) else { return nil }
      value = .bytes(range)
    case 5:
      guard skip(4) != nil else { return nil }
      value = .fixed32
    default: return nil
    }
    return (tag >> 3, value)
  }

  @_lifetime(self: copy self)
  private mutating func skip(_ count: UInt64) -> Range<Int>? {
    guard count <= bytes.byteCount - offset else { return nil }
    let start = offset
    offset += Int(count)
    return start..<offset
  }

  @_lifetime(self: copy self)
  private mutating func varint(maximumByteCount: Int) -> UInt64? {
    var value: UInt64 = 0
    for index in 0..<maximumByteCount {
      guard offset < bytes.byteCount else { return nil }
      // SAFETY: any bytes make a UInt8; the offset was checked.
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      offset += 1
      guard index < 9 || byte <= 1 else { return nil }
      value |= UInt64(byte & 0x7f) << (7 * UInt64(index))
      if byte < 0x80 { return value }
    }
    return nil
  }
}
