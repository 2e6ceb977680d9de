import Foundation

/// When, where and of what a run was made.
struct Run: Codable, Equatable, Sendable {
  /// When it began, UTC.
  var date = Date.now.formatted(
    .iso8601.year().month().day().dateTimeSeparator(.space).time(includingFractionalSeconds: false))
  var machine = Machine.this
  /// The commit.
  let code: String
  let rounds: Int
  /// Of a round.
  let seconds: Double
}

struct Machine: Codable, Equatable, Sendable {
  var processor: String
  var cores: Int
  /// Bytes.
  var memory: UInt64
  var kernel: String

  static var this: Machine {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
    let release = try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
    return Machine(
      processor: model?.trimmingCharacters(in: .whitespaces) ?? "an unknown processor",
      cores: ProcessInfo.processInfo.activeProcessorCount, memory: ProcessInfo.processInfo.physicalMemory,
      kernel: release?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown")
  }
}

extension Run: CustomStringConvertible {
  var description: String {
    "\(date) UTC, commit \(code), \(rounds) rounds of \(seconds) s; \(machine.cores) cores of \(machine.processor), "
      + "\(machine.memory >> 30) GiB, Linux \(machine.kernel)"
  }
}
