import CPeer

/// What the payload of a message consists of: it follows from author, sequence and size, so that the reader knows every
/// byte. The first eight bytes name the author; who has fewer is known by the sequence alone.
enum Payload {
  private static let authorByteCount = 8

  /// - Parameter scribble: other bytes than the message's, as of a program that writes its payload in several goes.
  static func write(_ author: Author, _ sequence: UInt64, scribble: Bool = false, into bytes: inout MutableRawSpan) {
    let code = bytes.byteCount >= authorByteCount ? author.code : 0
    let seed = seed(code, sequence, bytes.byteCount) ^ (scribble ? .max : 0)
    // SAFETY: the pointer is used for as long as the closure runs, for no more bytes than the span has.
    unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe poolbus_peer_fill(base, buffer.count, seed)
    }
    if code != 0, !scribble { bytes.storeBytes(of: code, as: UInt64.self) }
  }

  enum Reading: Equatable {
    /// Every byte is as it was written. The author is 0 if the payload is too small to name one.
    case intact(author: UInt64)
    case damaged(offset: Int)
  }

  static func read(_ sequence: UInt64, in bytes: RawSpan) -> Reading {
    let names = bytes.byteCount >= authorByteCount
    // SAFETY: any eight bytes are a number.
    let code = names ? unsafe bytes.unsafeLoadUnaligned(as: UInt64.self) : 0
    let skipped = names ? authorByteCount : 0
    let seed = seed(code, sequence, bytes.byteCount)
    // SAFETY: as in `write`.
    let offset = unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress, buffer.count > skipped else { return -1 }
      return unsafe poolbus_peer_mismatch_from(base, buffer.count, skipped / 8, seed)
    }
    return offset < 0 ? .intact(author: code) : .damaged(offset: offset)
  }

  private static func seed(_ code: UInt64, _ sequence: UInt64, _ byteCount: Int) -> UInt64 {
    code &* 0x9E37_79B9_7F4A_7C15 ^ sequence << 24 ^ UInt64(byteCount)
  }
}
