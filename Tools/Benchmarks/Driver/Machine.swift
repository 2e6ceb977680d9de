import Foundation

/// Where a run was made.
struct Machine: Codable, Equatable, Sendable {
  var date: String
  var processor: String
  var cores: Int
  var kernel: String

  static func this() -> Machine {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
    let release = try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
    return Machine(
      date: Date.now.formatted(.iso8601.year().month().day()),
      processor: model?.trimmingCharacters(in: .whitespaces) ?? "an unknown processor",
      cores: ProcessInfo.processInfo.activeProcessorCount,
      kernel: release?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown")
  }
}
