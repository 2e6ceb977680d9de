import Foundation
import TestProcesses

/// Runs a shell line with `busctl` in its PATH, at the node of these bystanders.
func shell(_ line: String, at bystanders: Bystanders) throws -> (code: Int32, errors: String) {
  let process = Process()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = ["-c", line]
  process.environment = ["PATH": "\(Executable.folder):/usr/bin:/bin", "POOLBUS_SOCKET": bystanders.socket]
  let errors = Pipe()
  process.standardError = errors
  process.standardOutput = FileHandle.nullDevice
  try process.run()
  // All of it, to its end.
  let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (process.terminationStatus, text)
}
