import BusProtocol
import Vocabulary

// Bytes of a peer are decoded or refused; what was decoded is a message that can be said again, and means the same then.

func fuzzClientMessage(_ bytes: RawSpan) {
  do throws(ProtocolError) {
    let message = try ClientMessage.decode(bytes)
    if case .subscribe(let wish) = message { plant(wish.backlog.bytes != nil && wish.observes, "a greedy observer") }
    let again = try ClientMessage.decode(again(message.encoded))
    require(again == message, "\(message) became \(again)")
  } catch {
    checkRefusal(error)
  }
}

func fuzzNodeMessage(_ bytes: RawSpan) {
  var assembler = SnapshotAssembler()
  do throws(ProtocolError) {
    let message = try NodeMessage.decode(bytes)
    let again = try NodeMessage.decode(again(message.encoded))
    require(again == message, "\(message) became \(again)")
    switch message {
    case .snapshot(let part): _ = assembler.add(part)
    case .lagged(let lagged):
      plant(lagged.ranges.contains { $0.lowerBound > 1 }, "a lag that starts late")
      for part in lagged.split() { require(part.ranges.count <= Lagged.maximumRangeCount, "a part is too long") }
    default: break
    }
  } catch {
    checkRefusal(error)
  }
}

func fuzzAttributes(_ bytes: RawSpan) {
  do throws(ProtocolError) {
    let attributes = try AttributesCodec.decode(bytes)
    plant(attributes.user.count > 1, "two attributes of a user")
    let encoded = again { () throws(ProtocolError) in try AttributesCodec.encode(attributes) }
    // SAFETY: an array of bytes has no padding.
    let again = try AttributesCodec.decode(unsafe encoded.span.bytes)
    require(again == attributes, "\(attributes) became \(again)")
  } catch {
    checkRefusal(error)
  }
}

func fuzzHandle(_ bytes: RawSpan) {
  _ = HandleCodec.stream(of: bytes)
  do throws(ProtocolError) {
    let handle = try HandleCodec.decode(bytes)
    plant(handle.slot > 1 << 24, "a slot beyond 24 bits")
    var room = [UInt8](repeating: 0, count: HandleCodec.maximumByteCount)
    var span = room.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var raw = unsafe span.mutableBytes
    let count = HandleCodec.encode(handle, into: &raw)
    require(count > 0 && count <= HandleCodec.maximumByteCount, "\(handle) takes \(count) bytes")
    let encoded = unsafe room.span.extracting(first: count).bytes
    require(try HandleCodec.decode(encoded) == handle, "\(handle) became another")
    require(HandleCodec.stream(of: encoded) == handle.stream, "\(handle) starts with another stream")
  } catch {
    checkRefusal(error)
  }
}

/// Encodes what was decoded, which must work.
private func again(_ encode: () throws(ProtocolError) -> [UInt8]) -> [UInt8] {
  do throws(ProtocolError) {
    return try encode()
  } catch {
    fail("what was decoded can't be encoded: \(error)")
  }
}

private func checkRefusal(_ error: ProtocolError) {
  require(!error.description.isEmpty && !error.problem.isEmpty, "a refusal says nothing")
}

extension ClientMessage {
  fileprivate static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> ClientMessage {
    // SAFETY: an array of bytes has no padding.
    try decode(unsafe bytes.span.bytes)
  }
}

extension NodeMessage {
  fileprivate static func decode(_ bytes: [UInt8]) throws(ProtocolError) -> NodeMessage {
    // SAFETY: an array of bytes has no padding.
    try decode(unsafe bytes.span.bytes)
  }
}
