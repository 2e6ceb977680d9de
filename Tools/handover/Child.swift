import Foundation

/// A process of the demonstration, and the lines that it writes.
final class Child {
  private let process = Process()
  private let output = Pipe()
  private var rest = Data()

  /// - Parameter readsErrors: whether its standard error is read, too; else it is shown.
  init(_ executable: URL, _ arguments: [String], readsErrors: Bool = false) throws {
    process.executableURL = executable
    process.arguments = arguments
    process.standardOutput = output
    if readsErrors { process.standardError = output }
    try process.run()
  }

  /// The next line; nil when the process has closed its output.
  func line() -> Data? {
    while true {
      if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        defer { rest = Data(rest[(end + 1)...]) }
        return rest[..<end]
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      rest += more
    }
  }

  /// Reads on until a line says so; false if the process ends before.
  func awaitLine(containing text: String) -> Bool {
    while let line = line() {
      if String(decoding: line, as: UTF8.self).contains(text) { return true }
    }
    return false
  }

  /// The exit status, once it has ended.
  func wait() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }

  func stop() {
    if process.isRunning { process.terminate() }
  }
}
