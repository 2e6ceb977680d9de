import Foundation

/// What is measured: one kind of work with all that it depends on.
struct Configuration: Codable, Hashable, Sendable {
  var size: Int
  /// Payloads are written whole and read whole.
  var isTouched = true
  var mode: System.Mode = .block
  var publishers = 1
  var subscribers = 1
  var topics = 1
  /// Bytes of the pool; nil leaves it to the system, which then takes what the work needs.
  var pool: Int?
  /// Microseconds between two round trips; nil for none.
  var pause: Int?
}

/// What a round is measured in.
enum Metric: String, Codable, Hashable, Sendable {
  case p50, p99, p999
  case messagesPerSecond, bytesPerSecond
  /// Of all processes together, the server included: nanoseconds per byte delivered, and per message.
  case cpuPerByte, cpuPerMessage
  /// Of the server: its share of one core, and its own memory in bytes.
  case serverCPU, serverMemory
}

/// The rounds of one system at one work.
struct Measurement: Codable, Sendable {
  let work: Work
  let system: String
  let configuration: Configuration
  var rounds: [Metric: [Double]] = [:]

  func median(_ metric: Metric) -> Double? { rounds[metric].flatMap { $0.median } }

  func isSameWork(as other: Measurement) -> Bool {
    work == other.work && system == other.system && configuration == other.configuration
  }
}

/// A run.
struct Results: Codable, Sendable {
  var machine: Machine
  var measurements: [Measurement] = []
  /// Bytes of its own memory that the node takes for 1,000 topics in use; set when growth is measured.
  var nodeMemoryPerThousandTopics: Double?

  init(machine: Machine) { self.machine = machine }

  /// Adds rounds to those of the same work, if it was done before.
  mutating func add(_ measurement: Measurement) {
    if let index = measurements.firstIndex(where: { $0.isSameWork(as: measurement) }) {
      measurements[index].rounds.merge(measurement.rounds, uniquingKeysWith: +)
    } else {
      measurements.append(measurement)
    }
  }

  init(from file: URL) throws { self = try JSONDecoder().decode(Results.self, from: Data(contentsOf: file)) }

  func write(to file: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try encoder.encode(self).write(to: file)
  }

  /// The median of a system's rounds.
  func median(_ system: String, _ work: Work, _ metric: Metric, _ configuration: Configuration) -> Double? {
    measurements.first { $0.system == system && $0.work == work && $0.configuration == configuration }?.median(metric)
  }

  /// From the node with the most topics, less the one with the fewest.
  mutating func noteNodeMemory() {
    let byTopics = measurements.filter {
      $0.work == .growth && $0.system == System.poolBus && $0.configuration.subscribers == 1
        && $0.configuration.pool == nil && $0.configuration.mode == .adaptive
    }.sorted { $0.configuration.topics < $1.configuration.topics }
    guard let few = byTopics.first, let many = byTopics.last,
      let (small, large) = (few.median(.serverMemory), many.median(.serverMemory)) as? (Double, Double),
      many.configuration.topics > few.configuration.topics
    else { return }
    nodeMemoryPerThousandTopics =
      (large - small) * 1000 / Double(many.configuration.topics - few.configuration.topics)
  }

  var systems: [String] {
    measurements.map(\.system).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

/// Where it ran.
struct Machine: Codable, Sendable {
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

extension [Double] {
  var median: Double? {
    let sorted = sorted()
    return isEmpty ? nil : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}
