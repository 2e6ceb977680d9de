import CSchemas

/// Where one message's C structures live, all given back at once. It hands out no more than its limit, so that what a
/// packet makes of itself in memory is bounded.
@safe final class MessageMemory {
  private let limit: Int
  private var handedOut = 0
  // SAFETY: blocks are allocated here, and freed only in deinit. `next` and `room` are the unused end of the last one.
  private var blocks = unsafe [UnsafeMutableRawPointer]()
  private var next: UnsafeMutableRawPointer?
  private var room = 0
  /// True once something was refused.
  private(set) var isExhausted = false

  /// - Parameter limit: bytes.
  init(limit: Int = .max) { self.limit = limit }

  /// What decoding a packet may take: a pair of attributes of five bytes makes structures of eighty, and almost as much
  /// again for the parser.
  convenience init(toDecode byteCount: Int) { self.init(limit: 1024 + 48 * byteCount) }

  deinit {
    unsafe blocks.forEach { unsafe $0.deallocate() }
  }

  /// Room aligned for any C structure, zeroed or not; nil beyond the limit.
  func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard byteCount >= 0, byteCount <= Int.max - 31 else { return nil }
    let size = max((byteCount + 15) & ~15, 16)
    guard size <= limit - handedOut else {
      isExhausted = true
      return nil
    }
    handedOut += size
    if size > room {
      room = max(size, 1024)
      let block = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
      unsafe blocks.append(block)
      unsafe next = block
    }
    // SAFETY: `room`, not less than `size`, bytes follow `next` in its block.
    let allocated = unsafe next
    unsafe next = unsafe next.map { unsafe $0 + size }
    room -= size
    return unsafe allocated
  }

  /// Runs protobuf-c's parser in this memory.
  /// - Returns: the message; nil if the bytes are none, or the limit is reached.
  func unpack(_ bytes: RawSpan, as schema: Schema) -> UnsafeMutableRawPointer? {
    // SAFETY: the allocator's data is this object, which lives through the call; freeing waits for deinit.
    unsafe withExtendedLifetime(self) {
      var allocator = unsafe ProtobufCAllocator(
        alloc: { memory, size in
          guard let memory = unsafe memory, let size = Int(exactly: size) else { return nil }
          return unsafe Unmanaged<MessageMemory>.fromOpaque(memory).takeUnretainedValue().allocate(size)
        },
        free: { _, _ in },
        allocator_data: Unmanaged.passUnretained(self).toOpaque())
      return unsafe bytes.withUnsafeBytes { bytes in
        let data = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe UnsafeMutableRawPointer(
          protobuf_c_message_unpack(schema.descriptor, &allocator, bytes.count, data))
      }
    }
  }
}
