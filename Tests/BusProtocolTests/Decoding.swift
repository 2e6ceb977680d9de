import BusProtocol
import Vocabulary

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
