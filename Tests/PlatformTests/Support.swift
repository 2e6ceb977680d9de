import Foundation
import Glibc
import Platform

/// A directory of a test's own, removed with everything in it.
struct TemporaryDirectory: ~Copyable {
  let path: String

  init() throws {
    var template = [CChar]("/tmp/poolbus-platform-XXXXXX".utf8CString)
    // SAFETY: the call fills in the template's end.
    guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
}

/// What a descriptor stands for, whatever its number and process.
struct FileIdentity: Hashable {
  let device: UInt64
  let inode: UInt64

  init?(_ descriptor: CInt) {
    var status = stat()
    // SAFETY: the structure outlives the call.
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
  }

  init?(path: String) {
    var status = stat()
    // SAFETY: the structure outlives the call.
    guard unsafe lstat(path, &status) == 0 else { return nil }
    (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
  }

  /// Descriptors of this process for the file. Tests run side by side: all open descriptors can't be counted.
  var openCount: Int {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        .compactMap { CInt($0).flatMap { FileIdentity($0) } }
        .count { $0 == self }
    }
  }
}

/// A memory file that no other test has.
func freshFile() throws -> OwnedDescriptor { try MemoryFile.create(name: "poolbus-platform-test", byteCount: 4096) }

func isOpen(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

func closesOnExec(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0 }

/// A ``PacketSocket/Received`` to compare; the descriptor is closed, what it stood for is kept.
enum Arrival: Equatable {
  case packet([UInt8], FileIdentity? = nil)
  case wouldBlock
  case closed
  case damaged
}

extension PacketSocket {
  // Arrays, as the macros of Swift Testing can't carry spans.
  borrowing func send(_ bytes: [UInt8], descriptor: CInt? = nil) throws -> SendResult {
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    return try send(unsafe span.bytes, descriptor: descriptor)
  }

  borrowing func receive(room: Int = PacketSocket.maximumPacketByteCount) throws -> Arrival {
    var buffer = [UInt8](repeating: 0, count: room)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes takes any bytes.
    var bytes = unsafe span.mutableBytes
    switch try receive(into: &bytes) {
    case .packet(let count, let file):
      let identity: FileIdentity? = if let file { FileIdentity(file.raw) } else { nil }
      return .packet(Array(buffer[..<count]), identity)
    case .wouldBlock: return .wouldBlock
    case .closed: return .closed
    case .damaged: return .damaged
    }
  }

  /// Sends until the other side has no more room; returns how many packets it took.
  borrowing func fill(with packet: [UInt8]) throws -> Int {
    var count = 0
    while try send(packet) == .sent { count += 1 }
    return count
  }
}

/// One end of a pair, to be hung up on its own.
final class End {
  private var socket: PacketSocket?

  private init(_ socket: consuming PacketSocket) { self.socket = consume socket }

  static func pair() throws -> (End, End) {
    var ends: [End] = []
    try PacketSocket.Pair().split { first, second in ends = [End(first), End(second)] }
    return (ends[0], ends[1])
  }

  var raw: CInt { socket?.raw ?? -1 }

  func hangUp() { socket = nil }

  func send(_ bytes: [UInt8]) throws -> PacketSocket.SendResult { try socket?.send(bytes) ?? .closed }

  func receive() throws -> Arrival { try socket?.receive() ?? .closed }
}

extension Poller {
  /// What is ready at once, or within the time.
  borrowing func ready(withinNanoseconds timeout: UInt64? = 0) throws -> [Readiness] {
    var all: [Readiness] = []
    try wait(timeoutNanoseconds: timeout) { all.append($0) }
    return all
  }
}
