import Glibc
import Platform
import TestProcesses

enum File {
  static func read(_ path: String) throws(Errno) -> [UInt8] {
    // SAFETY: here and below the kernel copies the path, and writes no more than the buffer holds.
    let raw = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    let file = OwnedDescriptor(adopting: raw)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe Glibc.read(file.raw, &buffer, buffer.count)
      guard count >= 0 else { throw Errno(rawValue: errno) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  static func text(_ path: String) throws(Errno) -> String { String(decoding: try read(path), as: UTF8.self) }

  /// Overwrites a file that is there.
  static func write(_ text: String, to path: String) throws(Errno) {
    // SAFETY: the kernel copies the path, and the text.
    let raw = unsafe open(path, O_WRONLY | O_CLOEXEC)
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    let file = OwnedDescriptor(adopting: raw)
    guard unsafe Glibc.write(file.raw, text, text.utf8.count) == text.utf8.count else { throw Errno(rawValue: errno) }
  }

  static func remove(_ path: String) {
    // SAFETY: the kernel copies the path.
    unsafe _ = unlink(path)
  }

  static func exists(_ path: String) -> Bool {
    // SAFETY: the kernel copies the path.
    unsafe access(path, F_OK) == 0
  }
}

/// What a node writes to its standard error: of some things its log is all that tells.
struct Log: ~Copyable {
  private let file: OwnedDescriptor

  init() throws(Errno) { file = try MemoryFile.create(name: "log", byteCount: 0) }

  var raw: CInt { file.raw }

  func lines() throws(Errno) -> [Substring] { try File.text("/proc/self/fd/\(raw)").split(separator: "\n") }

  func wait(for words: String) async throws {
    while try !lines().contains(where: { $0.contains(words) }) { try await Task.sleep(for: .milliseconds(2)) }
  }
}

extension Executable {
  /// The root of the package.
  static let package = #filePath.components(before: "/Tests/EndToEndTests/")

  /// The first of these programs that can be found.
  static func find(_ names: String...) -> String? {
    // SAFETY: nobody changes the environment while tests run.
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    for name in names {
      let places = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
      // SAFETY: the kernel copies the path.
      if let place = places.first(where: { unsafe access($0, X_OK) == 0 }) { return place }
    }
    return nil
  }
}

extension String {
  /// What stands before the first occurrence of `part`; all of it if there is none.
  fileprivate func components(before part: String) -> String {
    ranges(of: part).first.map { String(self[..<$0.lowerBound]) } ?? self
  }
}
