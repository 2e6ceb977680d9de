import PoolBus
import SystemPackage

/// A file, or standard input, whose contents become a message.
struct InputFile: ~Copyable {
  /// As the user says it; nil for standard input.
  let name: String?
  private let descriptor: FileDescriptor
  /// Bytes to come; nil if only reading can tell.
  let byteCount: Int?

  /// - Parameter path: `-` is standard input.
  init(path: String) throws(Failure) {
    name = path == "-" ? nil : path
    do {
      descriptor = path == "-" ? .standardInput : try .open(FilePath(path), .readOnly, options: .closeOnExec)
    } catch {
      throw Failure("\(path) can't be opened: \(error)")
    }
    byteCount = Self.remainingByteCount(of: descriptor)
  }

  deinit {
    if name != nil { try? descriptor.close() }
  }

  /// Says what can be said of a file without opening it: opening a pipe would disturb who writes to it.
  ///
  /// - Returns: bytes to come; nil if only reading can tell.
  static func look(at path: String) throws(Failure) -> UInt64? {
    guard path != "-" else { return remainingByteCount(of: .standardInput).map { UInt64($0) } }
    let status: Stat
    do {
      status = try Stat(FilePath(path))
    } catch {
      throw Failure("\(path) can't be opened: \(error)")
    }
    guard status.type != .directory else { throw Failure("\(path) is a directory: name the files in it") }
    return status.type == .regular && status.size > 0 ? UInt64(status.size) : nil
  }

  /// Publishes what the file holds now as one message, read straight into the pool if its size is known.
  ///
  /// - Parameter limit: what fits the pool; more than that is not read.
  func publish(
    on publisher: Publisher, attributes: MessageAttributes, limit: UInt64, progress: inout Progress
  ) async throws {
    guard let byteCount else {
      let bytes = try readToEnd(limit: limit, progress: &progress)
      return try await publisher.publish(copying: bytes, attributes: attributes)
    }
    var loan = try await publisher.loan(byteCount: byteCount, attributes: attributes)
    try fill(&loan.mutableBytes, progress: &progress)
    try loan.publish()
  }

  private func fill(_ room: inout MutableRawSpan, progress: inout Progress) throws {
    var filled = 0
    while filled < room.byteCount {
      let end = min(filled + Progress.step, room.byteCount)
      // SAFETY: the pointer is used only within the call, and `read` writes no more than the part it is given.
      let count = try unsafe room.withUnsafeMutableBytes { room in
        try unsafe read(into: UnsafeMutableRawBufferPointer(rebasing: room[filled..<end]))
      }
      guard count > 0 else {
        throw Failure("\(title) shrank while it was read: it has \(filled) bytes now, not \(room.byteCount)")
      }
      filled += count
      progress.advance(by: count)
    }
  }

  private func readToEnd(limit: UInt64, progress: inout Progress) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = try unsafe chunk.withUnsafeMutableBytes { try unsafe read(into: $0) }
      guard count > 0 else { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= limit else {
        throw Failure("\(title) has more than \(limit) bytes, which is the whole pool")
      }
      progress.advance(by: count)
    }
  }

  /// - Returns: 0 at the end.
  private func read(into room: UnsafeMutableRawBufferPointer) throws -> Int {
    do {
      return try unsafe descriptor.read(into: room)
    } catch {
      throw Failure("\(title) can't be read: \(error)")
    }
  }

  private var title: String { name ?? "standard input" }

  /// Nil unless it is a regular file. Files of the kernel claim to be empty: reading tells.
  private static func remainingByteCount(of descriptor: FileDescriptor) -> Int? {
    guard let status = try? descriptor.stat(), status.type == .regular, status.size > 0,
      let position = try? descriptor.seek(offset: 0, from: .current)
    else { return nil }
    return Int(max(status.size - position, 0))
  }
}
