import CSchemas

/// A message of the schema, as protobuf-c describes it: names and numbers of fields, and where they lie in memory.
@safe struct Schema: @unchecked Sendable {
  // SAFETY: points to a constant of the generated code, which lives as long as the program and never changes.
  let descriptor: UnsafePointer<ProtobufCMessageDescriptor>

  static let clientMessage = unsafe Schema(describing: Poolbus__ClientMessage(), poolbus__client_message__init)
  static let nodeMessage = unsafe Schema(describing: Poolbus__NodeMessage(), poolbus__node_message__init)
  static let handle = unsafe Schema(describing: Poolbus__Handle(), poolbus__handle__init)
  static let attributes = unsafe Schema(describing: Poolbus__Attributes(), poolbus__attributes__init)

  /// Swift sees a C constant's value, not its address; but an initialized message holds the address.
  private init<Message>(
    describing blank: Message, _ initialize: (UnsafeMutablePointer<Message>?) -> Void
  ) {
    var message = blank
    // SAFETY: every generated message starts with a ProtobufCMessage, whose descriptor `initialize` sets.
    unsafe descriptor = withUnsafeMutablePointer(to: &message) {
      unsafe initialize($0)
      return unsafe UnsafeRawPointer($0).load(as: ProtobufCMessage.self).descriptor
    }
  }

  fileprivate init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) { unsafe self.descriptor = descriptor }

  // SAFETY: for all below: descriptors and what they point to are constants.

  var name: String { unsafe String(cString: descriptor.pointee.short_name) }
  var byteCount: Int { unsafe descriptor.pointee.sizeof_message }

  func field(numbered number: UInt32) -> Field? {
    unsafe protobuf_c_message_descriptor_get_field(descriptor, number).map { unsafe Field($0) }
  }

  /// - Throws: if the schema has no such field: code and schema have parted.
  func field(named name: StaticString, _ kind: Field.Kind, isRepeated: Bool = false) throws(ProtocolError) -> Field {
    let found = name.withUTF8Buffer { name in
      unsafe name.withMemoryRebound(to: CChar.self) {
        unsafe protobuf_c_message_descriptor_get_field_by_name(descriptor, $0.baseAddress)
      }
    }
    guard let found = unsafe found.map({ unsafe Field($0) }), found.kind == kind, found.isRepeated == isRepeated else {
      throw ProtocolError(message: self.name, field: "\(name)", problem: "is not in the schema as \(kind)")
    }
    return found
  }

  func initialize(_ message: UnsafeMutableRawPointer) {
    unsafe protobuf_c_message_init(descriptor, message)
  }
}

/// A field of a message.
@safe struct Field {
  enum Kind {
    case uint64, fixed64, uint32, bool, enumeration, text, message
    /// None that our schemas use.
    case other
  }

  // SAFETY: points to a constant of the generated code.
  private let descriptor: UnsafePointer<ProtobufCFieldDescriptor>

  fileprivate init(_ descriptor: UnsafePointer<ProtobufCFieldDescriptor>) { unsafe self.descriptor = descriptor }

  // SAFETY: for all below: descriptors and what they point to are constants; a field's `descriptor` is that of its
  // message or enumeration, by its type.

  var name: String { unsafe String(cString: descriptor.pointee.name) }
  var number: UInt32 { unsafe descriptor.pointee.id }
  var isRepeated: Bool { unsafe descriptor.pointee.label == PROTOBUF_C_LABEL_REPEATED }
  var isOneOf: Bool { unsafe descriptor.pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 }
  /// Where the value lies in the message.
  var offset: Int { unsafe Int(descriptor.pointee.offset) }
  /// Where a repeated field's count, or a oneof's choice, lies in the message.
  var quantifierOffset: Int { unsafe Int(descriptor.pointee.quantifier_offset) }

  var kind: Kind {
    switch unsafe descriptor.pointee.type {
    case PROTOBUF_C_TYPE_UINT64: .uint64
    case PROTOBUF_C_TYPE_FIXED64: .fixed64
    case PROTOBUF_C_TYPE_UINT32: .uint32
    case PROTOBUF_C_TYPE_BOOL: .bool
    case PROTOBUF_C_TYPE_ENUM: .enumeration
    case PROTOBUF_C_TYPE_STRING: .text
    case PROTOBUF_C_TYPE_MESSAGE: .message
    default: .other
    }
  }

  /// What a field of kind ``Kind/message`` holds.
  var schema: Schema? {
    guard kind == .message, let message = unsafe descriptor.pointee.descriptor else { return nil }
    return unsafe Schema(message.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
  }

  /// How many values an enumeration has; they are numbered from 0.
  var enumerationCount: Int {
    guard kind == .enumeration, let values = unsafe descriptor.pointee.descriptor else { return 0 }
    return unsafe Int(values.assumingMemoryBound(to: ProtobufCEnumDescriptor.self).pointee.n_values)
  }
}
