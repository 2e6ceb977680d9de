import ArgumentParser
import CPeer
import PoolBus

/// How large the messages of a stream are, by their sequence: the sizes in turn.
struct Sizes: ExpressibleByArgument {
  private let byteCounts: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",")
    byteCounts = parts.compactMap { Int($0) }
    guard !parts.isEmpty, byteCounts.count == parts.count else { return nil }
  }

  subscript(sequence: UInt64) -> Int { byteCounts[Int((sequence - 1) % UInt64(byteCounts.count))] }
}

/// What the payload of a message consists of: it follows from stream and sequence, so that the reader knows every byte.
enum Payload {
  /// - Parameter part: only the first so many bytes.
  static func write(_ stream: StreamID, _ sequence: UInt64, part: Int = .max, into bytes: inout MutableRawSpan) {
    // SAFETY: the pointer is used for as long as the closure runs, for no more bytes than the span has.
    unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe poolbus_peer_fill(base, min(part, buffer.count), seed(stream, sequence))
    }
  }

  /// The offset of the first byte that is not what was written; nil if all are.
  static func mismatch(_ stream: StreamID, _ sequence: UInt64, in bytes: RawSpan) -> Int? {
    // SAFETY: as above.
    let offset = unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return -1 }
      return unsafe poolbus_peer_mismatch(base, buffer.count, seed(stream, sequence))
    }
    return offset < 0 ? nil : offset
  }

  private static func seed(_ stream: StreamID, _ sequence: UInt64) -> UInt64 { stream.rawValue << 40 ^ sequence }
}

/// Keeps what can't be copied in a collection.
final class Held<Value: ~Copyable & Sendable>: Sendable {
  let value: Value
  init(_ value: consuming Value) { self.value = value }
}
