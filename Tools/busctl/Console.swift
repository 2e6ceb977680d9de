import SystemPackage
import ToolSupport

/// Standard output and standard error, without buffers: a line that was printed is out, and one that can't be is an error.
enum Console {
  /// Prints a line on standard output.
  static func print(_ line: String) throws { try print(Array("\(line)\n".utf8)) }

  /// Prints bytes on standard output as they are.
  static func print(_ bytes: [UInt8]) throws {
    do {
      try FileDescriptor.standardOutput.writeAll(bytes)
    } catch {
      throw Failure("standard output can't be written: \(error)")
    }
  }

  /// Tells people something on standard error.
  static func report(_ message: String) { show("busctl: \(EscapedText.line(message))\n") }

  /// Writes on standard error, as far as that is possible.
  static func show(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }
}
