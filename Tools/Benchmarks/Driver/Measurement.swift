import Histogram

/// What a round is measured in.
enum Metric: String, Codable, CodingKeyRepresentable, Sendable {
  case p50
  case messagesPerSecond, bytesPerSecond
  /// Of all processes together, the server included: nanoseconds per byte delivered, and per message.
  case cpuPerByte, cpuPerMessage
  /// Of the server: its share of one core, and its own memory in bytes.
  case serverCPU, serverMemory
}

/// The rounds of one system at one work.
struct Measurement: Codable, Equatable, Sendable {
  let work: Work
  let system: String
  let configuration: Configuration
  /// The groups of a run that it was measured in, by their numbers, each with as many rounds: whatever is in one group is
  /// measured in turn.
  var groups: [Int]
  var rounds: [Metric: [Double]] = [:]
  /// Set for round trips.
  var tail: Tail?

  func median(_ metric: Metric) -> Double? { rounds[metric].flatMap { $0.median } }

  func isSameWork(as other: Measurement) -> Bool {
    work == other.work && system == other.system && configuration == other.configuration
  }

  /// The slowest round trips of all rounds together, as a round by itself has too few of them.
  struct Tail: Codable, Equatable, Sendable {
    /// How many round trips there were.
    let samples: Int
    /// Nanoseconds; nil where fewer than ten samples are slower.
    let p99: Double?
    let p999: Double?

    init(_ histogram: Histogram<UInt64>) {
      samples = Int(histogram.totalCount)
      p99 = samples >= 1_000 ? Double(histogram.valueAtPercentile(99)) : nil
      p999 = samples >= 10_000 ? Double(histogram.valueAtPercentile(99.9)) : nil
    }
  }
}

extension Histogram<UInt64> {
  /// Of nanoseconds, up to a minute.
  static var ofLatencies: Self { Self(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three) }
}

extension [Double] {
  var median: Double? {
    let sorted = sorted()
    return isEmpty ? nil : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}
