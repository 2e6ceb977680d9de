import Foundation

/// A folder for records and logs.
struct Folder: Sendable {
  let path: String

  init(at path: String) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  /// One that is there already.
  init(existing path: String) throws {
    self.path = path
    _ = try FileManager.default.contentsOfDirectory(atPath: path)
  }

  static func temporary() throws -> Folder {
    try Folder(at: FileManager.default.temporaryDirectory.appending(path: "poolbus-faults-\(getpid())").path)
  }

  func folder(named name: String) throws -> Folder { try Folder(at: "\(path)/\(name)") }

  var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

  func text(of file: String) -> String { (try? String(contentsOfFile: "\(path)/\(file)", encoding: .utf8)) ?? "" }

  func write(_ value: some Encodable, to file: String) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try? encoder.encode(value).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }

  func removeIfEmpty() {
    // SAFETY: the kernel copies the path.
    _ = unsafe rmdir(path)
  }
}

/// What the kernel says of itself or of a process; empty if the process is gone.
func systemText(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

/// What a link names; empty if there is none.
func systemLink(_ path: String) -> String { (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? "" }
