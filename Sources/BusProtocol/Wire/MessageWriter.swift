import CSchemas

/// Writes the fields of a message by their names in the schema, and encodes it.
@safe struct MessageWriter {
  private let schema: Schema
  // SAFETY: a C structure as `schema` describes it, in `memory`, which is kept here with all that it points to.
  private let message: UnsafeMutableRawPointer
  private let memory: MessageMemory

  init(_ schema: Schema) throws(ProtocolError) { try self.init(schema, in: MessageMemory()) }

  private init(_ schema: Schema, in memory: MessageMemory) throws(ProtocolError) {
    unsafe message = try unsafe Self.allocate(schema.byteCount, for: schema, in: memory)
    unsafe schema.initialize(message)
    self.schema = schema
    self.memory = memory
  }

  private static func allocate(
    _ byteCount: Int, for schema: Schema, in memory: MessageMemory
  ) throws(ProtocolError) -> UnsafeMutableRawPointer {
    guard let allocated = unsafe memory.allocate(byteCount) else {
      throw ProtocolError(message: schema.name, problem: "is too large")
    }
    return unsafe allocated
  }

  func invalid(_ name: StaticString, _ problem: String) -> ProtocolError {
    ProtocolError(message: schema.name, field: "\(name)", problem: problem)
  }

  // SAFETY: for all below: `schema.field` checks that the field exists and is of this kind, so that at its offset lies
  // room for what is stored.

  func put(_ name: StaticString, _ value: UInt64) throws(ProtocolError) {
    let field = try schema.field(named: name, .uint64)
    unsafe message.storeBytes(of: value, toByteOffset: field.offset, as: UInt64.self)
  }

  func put(_ name: StaticString, _ value: UInt32) throws(ProtocolError) {
    let field = try schema.field(named: name, .uint32)
    unsafe message.storeBytes(of: value, toByteOffset: field.offset, as: UInt32.self)
  }

  func put(_ name: StaticString, _ value: Bool) throws(ProtocolError) {
    let field = try schema.field(named: name, .bool)
    unsafe message.storeBytes(of: value ? 1 : 0, toByteOffset: field.offset, as: protobuf_c_boolean.self)
  }

  /// The cases stand in the schema's order.
  func put<Value: CaseIterable & Equatable>(_ name: StaticString, _ value: Value) throws(ProtocolError) {
    let field = try schema.field(named: name, .enumeration)
    let number = Value.allCases.prefix { $0 != value }.count
    unsafe message.storeBytes(of: UInt32(clamping: number), toByteOffset: field.offset, as: UInt32.self)
  }

  /// - Parameter limit: bytes of UTF-8.
  func put(_ name: StaticString, _ text: String, limit: Int) throws(ProtocolError) {
    let field = try schema.field(named: name, .text)
    try text.checkByteCount(limit: limit) { invalid(name, $0) }
    if text.utf8.contains(0) { throw invalid(name, "holds a NUL") }
    let count = text.utf8.count
    let copy = try unsafe Self.allocate(count + 1, for: schema, in: memory)
    unsafe UnsafeMutableRawBufferPointer(start: copy, count: count).copyBytes(from: text.utf8)
    unsafe copy.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
    unsafe message.storeBytes(of: copy, toByteOffset: field.offset, as: UnsafeMutableRawPointer.self)
  }

  func put(_ name: StaticString, _ numbers: [UInt64], limit: Int) throws(ProtocolError) {
    let field = try schema.field(named: name, .uint64, isRepeated: true)
    guard numbers.count <= limit else { throw invalid(name, "has \(numbers.count) elements; \(limit) are allowed") }
    let copy = try unsafe Self.allocate(numbers.count * MemoryLayout<UInt64>.size, for: schema, in: memory)
    for (index, number) in numbers.enumerated() {
      unsafe copy.storeBytes(of: number, toByteOffset: index * MemoryLayout<UInt64>.size, as: UInt64.self)
    }
    unsafe message.storeBytes(of: numbers.count, toByteOffset: field.quantifierOffset, as: Int.self)
    unsafe message.storeBytes(of: copy, toByteOffset: field.offset, as: UnsafeMutableRawPointer.self)
  }

  /// A message in this one; if the field belongs to a oneof, it becomes the choice.
  func put(
    _ name: StaticString, _ write: (MessageWriter) throws(ProtocolError) -> Void
  ) throws(ProtocolError) {
    let field = try schema.field(named: name, .message)
    guard let inner = field.schema else { return }
    let writer = try MessageWriter(inner, in: memory)
    try write(writer)
    unsafe message.storeBytes(of: writer.message, toByteOffset: field.offset, as: UnsafeMutableRawPointer.self)
    if field.isOneOf {
      unsafe message.storeBytes(of: field.number, toByteOffset: field.quantifierOffset, as: UInt32.self)
    }
  }

  /// A list of messages in this one.
  func put<Row>(
    _ name: StaticString, _ rows: [Row], _ write: (Row, MessageWriter) throws(ProtocolError) -> Void
  ) throws(ProtocolError) {
    let field = try schema.field(named: name, .message, isRepeated: true)
    guard let inner = field.schema, !rows.isEmpty else { return }
    let stride = unsafe MemoryLayout<UnsafeMutableRawPointer>.stride
    let list = try unsafe Self.allocate(rows.count * stride, for: schema, in: memory)
    for (index, row) in rows.enumerated() {
      let writer = try MessageWriter(inner, in: memory)
      try write(row, writer)
      unsafe list.storeBytes(of: writer.message, toByteOffset: index * stride, as: UnsafeMutableRawPointer.self)
    }
    unsafe message.storeBytes(of: rows.count, toByteOffset: field.quantifierOffset, as: Int.self)
    unsafe message.storeBytes(of: list, toByteOffset: field.offset, as: UnsafeMutableRawPointer.self)
  }

  /// - Throws: ``ProtocolError`` if the message takes more bytes than `limit`.
  func encoded(limit: Int) throws(ProtocolError) -> [UInt8] {
    // SAFETY: the structure is complete; what it points to is in `memory`. `pack` writes as many bytes as it measured.
    let base = unsafe UnsafePointer(message.assumingMemoryBound(to: ProtobufCMessage.self))
    let count = unsafe protobuf_c_message_get_packed_size(base)
    guard count <= limit else {
      throw ProtocolError(message: schema.name, problem: "takes \(count) bytes; \(limit) are allowed")
    }
    return withExtendedLifetime(memory) {
      unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, initializedCount in
        guard let start = bytes.baseAddress else { return }
        initializedCount = unsafe protobuf_c_message_pack(base, start)
      }
    }
  }
}

extension String {
  func checkByteCount(limit: Int, _ invalid: (String) -> ProtocolError) throws(ProtocolError) {
    guard utf8.count <= limit else { throw invalid("has \(utf8.count) bytes; \(limit) are allowed") }
  }

  /// Cut at a character's boundary, for texts that people read: with a NUL they would not travel, hence none is kept.
  func cut(toByteCount limit: Int) -> String {
    var text = filter { $0 != "\0" }
    while text.utf8.count > limit { text.removeLast() }
    return text
  }
}
