import Crypto
import Foundation
import SystemPackage

/// The regular files below a folder, of all depths. Symbolic links are not followed.
struct Folder {
  let path: String
  /// Relative to the folder.
  private(set) var files: [String] = []
  /// What could not be looked at, and why.
  private(set) var unreadable: [Unreadable] = []

  init(_ path: String) throws {
    self.path = path
    guard let entries = FileManager.default.enumerator(atPath: path) else {
      throw Failure("\(path) can't be looked through")
    }
    for case let entry as String in entries {
      switch entries.fileAttributes?[.type] as? FileAttributeType {
      case .typeRegular?: files.append(entry)
      case .typeDirectory? where !FileManager.default.isReadableFile(atPath: "\(path)/\(entry)"):
        unreadable.append(Unreadable(path: entry, reason: "the folder may not be read"))
      case nil: unreadable.append(Unreadable(path: entry, reason: "it is gone, or its name is not UTF-8"))
      default: break
      }
    }
  }
}

/// A file that can't be handed over.
struct Unreadable: Error, CustomStringConvertible {
  let path: String
  let reason: String
  var description: String { "\(path): \(reason)" }
}

/// A regular file that is open for reading.
struct InputFile: ~Copyable {
  private let path: String
  private let descriptor: FileDescriptor

  init(_ path: String, in folder: String) throws(Unreadable) {
    let descriptor: FileDescriptor
    do {
      // Should it be a pipe by now, opening it must not wait for a writer.
      let options: FileDescriptor.OpenOptions = [.closeOnExec, .noFollow, .nonBlocking]
      descriptor = try .open(FilePath(folder).appending(path), .readOnly, options: options)
    } catch {
      throw Unreadable(path: path, reason: "\(error)")
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { try? descriptor.close() }

  func status() throws(Unreadable) -> Stat {
    do { return try descriptor.stat() } catch { throw Unreadable(path: path, reason: "\(error)") }
  }

  /// Reads the whole file, which has not changed since it had this status, into room of its size.
  func read(_ status: Stat, into room: inout MutableRawSpan) throws(Unreadable) {
    do {
      var filled = 0
      while filled < room.byteCount {
        // SAFETY: the pointer is used only within the call, and the kernel writes no more than the part it is given.
        let count = try unsafe room.withUnsafeMutableBytes { room in
          try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(rebasing: room[filled...]))
        }
        if count == 0 { break }
        filled += count
      }
      let now = try descriptor.stat()
      if filled == room.byteCount, now.size == status.size, now.modified == status.modified { return }
    } catch {
      throw Unreadable(path: path, reason: "\(error)")
    }
    throw Unreadable(path: path, reason: "it changed while it was read")
  }

  /// - Parameter limit: bytes after which it reads no further, should the file grow as fast as it is read.
  func digest(limit: Int) throws(Unreadable) -> SHA256Digest {
    var hash = SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var total = 0
    do {
      while total <= limit {
        // SAFETY: as above.
        let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe descriptor.read(into: $0) }
        if count == 0 { break }
        hash.update(data: buffer[..<count])
        total += count
      }
      return hash.finalize()
    } catch {
      throw Unreadable(path: path, reason: "\(error)")
    }
  }
}

extension Stat {
  /// Seconds and nanoseconds since 1970.
  fileprivate var modified: [Int] { [st_mtim.tv_sec, st_mtim.tv_nsec] }
}
