import CSchemas
import Vocabulary

/// Handles as they travel over ZeroMQ. Neither way allocates on the heap.
public enum HandleCodec {
  /// No encoded handle is longer.
  public static let maximumByteCount = 64
  /// A handle of a later version may be longer, by fields that are skipped here.
  public static let maximumDecodableByteCount = 256

  /// Encodes to the start of `room`, which should have ``maximumByteCount`` bytes.
  /// - Returns: how many bytes the handle has; 0 if there is no room for it.
  public static func encode(_ handle: Handle, into room: inout MutableRawSpan) -> Int {
    // SAFETY: the structure holds no pointer but its descriptor's; `pack` writes as many bytes as were measured.
    unsafe room.withUnsafeMutableBytes { room in
      var message = unsafe Poolbus__Handle()
      unsafe poolbus__handle__init(&message)
      unsafe message.stream = handle.stream.rawValue
      unsafe message.segment = handle.segment.id.rawValue
      unsafe message.epoch = handle.segment.epoch
      unsafe message.slot = handle.slot
      unsafe message.sequence = handle.sequence
      unsafe message.byte_count = handle.byteCount
      unsafe message.publish_time = handle.publishTime
      guard let start = room.baseAddress,
        unsafe room.count >= maximumByteCount || poolbus__handle__get_packed_size(&message) <= room.count
      else { return 0 }
      return unsafe poolbus__handle__pack(&message, start.assumingMemoryBound(to: UInt8.self))
    }
  }

  /// - Throws: ``ProtocolError`` if the bytes are no handle.
  public static func decode(_ bytes: RawSpan) throws(ProtocolError) -> Handle {
    guard bytes.byteCount <= maximumDecodableByteCount else {
      throw ProtocolError(
        message: "Handle", problem: "has \(bytes.byteCount) bytes; \(maximumDecodableByteCount) are allowed")
    }
    try checkWire(bytes, as: .handle)
    guard let handle = unpack(bytes) else {
      throw ProtocolError(message: "Handle", problem: "has more unknown fields than this version reads")
    }
    if handle.stream.rawValue == 0 { throw missing("stream") }
    if handle.segment.id.rawValue == 0 { throw missing("segment") }
    if handle.segment.epoch == 0 { throw missing("epoch") }
    if handle.sequence == 0 { throw missing("sequence") }
    return handle
  }

  /// The stream that a handle starts with; nil if it does not start as handles do. All that a doorbell needs to say.
  public static func stream(of bytes: RawSpan) -> StreamID? {
    guard bytes.byteCount >= 9, bytes.byte(at: 0) == 0x09 else { return nil }
    return StreamID(rawValue: bytes.fixed64(at: 1))
  }

  /// What every handle of the stream starts with: a ZeroMQ subscription's prefix.
  public static func prefix(of stream: StreamID) -> [UInt8] {
    // Field 1, fixed64, little-endian: protobuf-c writes fields in the order of their numbers.
    [0x09] + (0..<8).map { UInt8(truncatingIfNeeded: stream.rawValue >> (8 * $0)) }
  }

  private static func missing(_ field: String) -> ProtocolError {
    ProtocolError(message: "Handle", field: field, problem: "is missing, or 0")
  }

  /// - Returns: nil if protobuf-c refuses the bytes, or they make more than fits a small place on the stack.
  private static func unpack(_ bytes: RawSpan) -> Handle? {
    // SAFETY: the parser takes memory from `room` alone, through `rest`; both outlive it, and what it makes is copied out
    // before they end.
    unsafe withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { room in
      var rest = unsafe room
      return unsafe withUnsafeMutablePointer(to: &rest) { rest in
        var allocator = unsafe ProtobufCAllocator(
          alloc: { rest, size in
            guard let rest = unsafe rest?.assumingMemoryBound(to: UnsafeMutableRawBufferPointer.self),
              unsafe size <= rest.pointee.count & ~15
            else { return nil }
            let taken = unsafe rest.pointee.baseAddress
            unsafe rest.pointee = unsafe UnsafeMutableRawBufferPointer(rebasing: rest.pointee[((size + 15) & ~15)...])
            return unsafe taken
          },
          free: { _, _ in },
          allocator_data: rest)
        return unsafe bytes.withUnsafeBytes { bytes in
          let data = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
          guard let message = unsafe poolbus__handle__unpack(&allocator, bytes.count, data)?.pointee else { return nil }
          return unsafe Handle(
            stream: StreamID(rawValue: message.stream),
            segment: SegmentIdentity(id: SegmentID(rawValue: message.segment), epoch: message.epoch),
            slot: message.slot, sequence: message.sequence, byteCount: message.byte_count,
            publishTime: message.publish_time)
        }
      }
    }
  }
}

extension RawSpan {
  /// A byte; the offset must be within the span.
  fileprivate func byte(at offset: Int) -> UInt8 {
    precondition(offset < byteCount)
    // SAFETY: checked above; every byte is a UInt8.
    return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// Eight bytes, little-endian; they must lie within the span.
  fileprivate func fixed64(at offset: Int) -> UInt64 {
    precondition(offset <= byteCount - 8)
    // SAFETY: checked above; any eight bytes are a UInt64, and none need be aligned.
    return UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
