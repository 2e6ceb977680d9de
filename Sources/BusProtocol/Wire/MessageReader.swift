import CSchemas

/// Reads the fields of a decoded message by their names in the schema.
@safe struct MessageReader {
  private let schema: Schema
  // SAFETY: a C structure as `schema` describes it, made by protobuf-c in `memory`, which is kept here.
  private let message: UnsafeRawPointer
  private let memory: MessageMemory

  /// - Parameter limit: how many bytes there may be, at most.
  /// - Throws: ``ProtocolError`` if there are more, or they are no such message.
  init(decoding bytes: RawSpan, as schema: Schema, limit: Int) throws(ProtocolError) {
    guard bytes.byteCount <= limit else {
      throw ProtocolError(message: schema.name, problem: "has \(bytes.byteCount) bytes; \(limit) are allowed")
    }
    try checkWire(bytes, as: schema)
    memory = MessageMemory(toDecode: bytes.byteCount)
    guard let unpacked = unsafe memory.unpack(bytes, as: schema) else {
      let problem = memory.isExhausted ? "would take far more memory than it has bytes" : "is no protobuf message"
      throw ProtocolError(message: schema.name, problem: problem)
    }
    self.schema = schema
    unsafe message = UnsafeRawPointer(unpacked)
  }

  private init(_ schema: Schema, _ message: UnsafeRawPointer, in memory: MessageMemory) {
    self.schema = schema
    unsafe self.message = message
    self.memory = memory
  }

  func invalid(_ name: StaticString, _ problem: String) -> ProtocolError {
    ProtocolError(message: schema.name, field: "\(name)", problem: problem)
  }

  // SAFETY: for all below: `schema.field` checks that the field exists and is of this kind, so that at its offset lies
  // what is loaded. Texts and submessages are in `memory`, or constants of protobuf-c.

  func uint64(_ name: StaticString) throws(ProtocolError) -> UInt64 {
    unsafe message.load(fromByteOffset: try schema.field(named: name, .uint64).offset, as: UInt64.self)
  }

  func uint32(_ name: StaticString) throws(ProtocolError) -> UInt32 {
    unsafe message.load(fromByteOffset: try schema.field(named: name, .uint32).offset, as: UInt32.self)
  }

  func bool(_ name: StaticString) throws(ProtocolError) -> Bool {
    unsafe message.load(fromByteOffset: try schema.field(named: name, .bool).offset, as: protobuf_c_boolean.self) != 0
  }

  /// The cases stand in the schema's order.
  func enumeration<Value: CaseIterable>(_ name: StaticString) throws(ProtocolError) -> Value {
    let field = try schema.field(named: name, .enumeration)
    let number = unsafe message.load(fromByteOffset: field.offset, as: UInt32.self)
    guard number < min(field.enumerationCount, Value.allCases.count) else {
      throw invalid(name, "is \(number), which this version doesn't know")
    }
    return Value.allCases[Value.allCases.index(Value.allCases.startIndex, offsetBy: Int(number))]
  }

  /// - Parameter limit: bytes of UTF-8.
  func text(_ name: StaticString, limit: Int) throws(ProtocolError) -> String {
    let field = try schema.field(named: name, .text)
    guard let text = unsafe message.load(fromByteOffset: field.offset, as: UnsafePointer<CChar>?.self) else {
      return ""
    }
    let string = unsafe String(cString: text)
    try string.checkByteCount(limit: limit) { invalid(name, $0) }
    return string
  }

  func numbers(_ name: StaticString, limit: Int) throws(ProtocolError) -> [UInt64] {
    let field = try schema.field(named: name, .uint64, isRepeated: true)
    let count = unsafe message.load(fromByteOffset: field.quantifierOffset, as: Int.self)
    guard count <= limit else { throw invalid(name, "has \(count) elements; \(limit) are allowed") }
    let start = unsafe message.load(fromByteOffset: field.offset, as: UnsafePointer<UInt64>?.self)
    return unsafe Array(UnsafeBufferPointer(start: start, count: count))
  }

  func submessage(_ name: StaticString) throws(ProtocolError) -> MessageReader? {
    reader(of: try schema.field(named: name, .message))
  }

  func submessages<Row>(
    _ name: StaticString, _ read: (MessageReader) throws(ProtocolError) -> Row
  ) throws(ProtocolError) -> [Row] {
    let field = try schema.field(named: name, .message, isRepeated: true)
    let count = unsafe message.load(fromByteOffset: field.quantifierOffset, as: Int.self)
    guard count > 0, let schema = field.schema,
      let start = unsafe message.load(fromByteOffset: field.offset, as: UnsafePointer<UnsafeRawPointer>?.self)
    else { return [] }
    var rows: [Row] = []
    rows.reserveCapacity(count)
    for index in 0..<count { rows.append(try read(unsafe MessageReader(schema, start[index], in: memory))) }
    return rows
  }

  /// The choice of the message's oneof `body`.
  func body() throws(ProtocolError) -> (name: String, fields: MessageReader) {
    // All choices have one quantifier: the chosen field's number.
    guard let first = schema.field(numbered: 1), first.isOneOf,
      let chosen = schema.field(
        numbered: unsafe message.load(fromByteOffset: first.quantifierOffset, as: UInt32.self)),
      let fields = reader(of: chosen)
    else { throw ProtocolError(message: schema.name, field: "body", problem: "is missing, or unknown to this version") }
    return (chosen.name, fields)
  }

  private func reader(of field: Field) -> MessageReader? {
    guard let schema = field.schema,
      let submessage = unsafe message.load(fromByteOffset: field.offset, as: UnsafeRawPointer?.self)
    else { return nil }
    return unsafe MessageReader(schema, submessage, in: memory)
  }
}
