import Foundation
import PoolBus
import SystemPackage
import ToolSupport

/// Writes each payload to a file of its own in one directory, and prints the file's path.
struct FileSink: MessageSink {
  private let directory: FilePath
  private let json: Bool
  /// The number to try next, for names that have been taken.
  private var nextNumber: [SafeFileName: Int] = [:]

  /// Makes the directory if it is missing.
  init(directory: String, json: Bool) throws {
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw Failure("the directory \(directory) can't be made: \(error.localizedDescription)")
    }
    self.directory = FilePath(directory)
    self.json = json
  }

  mutating func take(_ sample: borrowing Sample) throws {
    var row = MessageRow(sample)
    let name = SafeFileName(
      proposed: row.attributes["file"], fallback: row.topic.text.replacing("/", with: "-"),
      end: "-\(row.stream.text)-\(row.sequence)")
    let (path, file) = try create(name)
    do {
      try write(sample.bytes, to: file)
      try file.close()
    } catch {
      // Half a payload is worse than none.
      try? file.close()
      try? FileManager.default.removeItem(atPath: path.string)
      throw Failure("\(path) can't be written: \(error)")
    }
    row.path = path.string
    try Console.print(json ? JSON.line(row) : EscapedText.line(path.string))
  }

  /// A file that was not there before.
  private mutating func create(_ name: SafeFileName) throws -> (FilePath, FileDescriptor) {
    var number = nextNumber[name] ?? 1
    while true {
      let path = directory.appending(name.numbered(number))
      number += 1
      do {
        let file = try FileDescriptor.open(
          path, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
          permissions: [.ownerReadWrite, .groupReadWrite, .otherReadWrite])
        nextNumber[name] = number
        return (path, file)
      } catch Errno.fileExists {
        continue
      } catch {
        throw Failure("\(path) can't be made: \(error)")
      }
    }
  }

  private func write(_ bytes: RawSpan, to file: FileDescriptor) throws {
    var progress = Progress(total: UInt64(bytes.byteCount))
    defer { progress.clear() }
    var written = 0
    while written < bytes.byteCount {
      let end = min(written + Progress.step, bytes.byteCount)
      // SAFETY: the pointer is used only within the call, for bytes that the span holds.
      let count = try unsafe bytes.withUnsafeBytes { bytes in
        try unsafe file.write(UnsafeRawBufferPointer(rebasing: bytes[written..<end]))
      }
      written += count
      progress.advance(by: count)
    }
  }
}
