import BusProtocol
import Vocabulary

/// Protobuf by hand, to say what the encoder never would.
enum Wire {
  static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { varint(field << 3) + varint(value) }
  static func fixed64(_ field: UInt64, _ value: UInt64) -> [UInt8] {
    varint(field << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  static func bytes(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
    varint(field << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }
  static func text(_ field: UInt64, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }
}

extension ClientMessage {
  static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> Self { try unsafe decode(bytes.span.bytes) }
}

extension NodeMessage {
  static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> Self { try unsafe decode(bytes.span.bytes) }
}

extension HandleCodec {
  static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> Handle { try unsafe decode(bytes.span.bytes) }
}

extension AttributesCodec {
  static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> MessageAttributes {
    try unsafe decode(bytes.span.bytes)
  }
}

// The error of decoding, if any.

func clientError(_ bytes: [UInt8]) -> ProtocolError? {
  error { () throws(ProtocolError) in try ClientMessage.decode(bytes) }
}
func nodeError(_ bytes: [UInt8]) -> ProtocolError? {
  error { () throws(ProtocolError) in try NodeMessage.decode(bytes) }
}
func handleError(_ bytes: [UInt8]) -> ProtocolError? {
  error { () throws(ProtocolError) in try HandleCodec.decode(bytes) }
}
func attributesError(_ bytes: [UInt8]) -> ProtocolError? {
  error { () throws(ProtocolError) in try AttributesCodec.decode(bytes) }
}

private func error<T>(_ decode: () throws(ProtocolError) -> T) -> ProtocolError? {
  do throws(ProtocolError) {
    _ = try decode()
    return nil
  } catch {
    return error
  }
}
