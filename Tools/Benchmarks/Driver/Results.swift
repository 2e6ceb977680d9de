import Foundation

/// A run.
struct Results: Codable, Equatable, Sendable {
  var run: Run
  /// All that were to be measured, whether their programs were there or not.
  var systems: [System]
  var measurements: [Measurement] = []
  var failures: [FailedMeasurement] = []

  init(run: Run, systems: [System]) {
    self.run = run
    self.systems = systems
  }

  /// Adds rounds to those of the same work, if it was done before.
  mutating func add(_ measurement: Measurement) {
    if let index = measurements.firstIndex(where: { $0.isSameWork(as: measurement) }) {
      measurements[index].groups += measurement.groups
      measurements[index].rounds.merge(measurement.rounds, uniquingKeysWith: +)
    } else {
      measurements.append(measurement)
    }
  }

  func measurement(_ system: String, _ work: Work, _ configuration: Configuration) -> Measurement? {
    measurements.first { $0.system == system && $0.work == work && $0.configuration == configuration }
  }

  /// A number that no group of this run has.
  var nextGroup: Int { (measurements.flatMap(\.groups).max() ?? 0) + 1 }

  /// The systems that were measured, in the order of systems.json.
  var measuredSystems: [System] {
    let names = Set(measurements.map(\.system))
    return systems.filter { names.contains($0.name) }
  }

  /// The systems that are neither ours nor a floor.
  var peers: [System] { systems.filter { !$0.isOurs && !$0.isFloor } }

  var failuresOfOurs: [FailedMeasurement] { failures.filter { System.isOurs($0.system) } }

  /// Bytes of its own memory that the node takes for 1,000 topics in use: from the node with the most, less the one with
  /// the fewest.
  var nodeMemoryPerThousandTopics: Double? {
    let byTopics = measurements.filter {
      $0.work == .growth && $0.system == System.poolBus
        && $0.configuration == Plan.growth(topics: $0.configuration.topics)
    }.sorted { $0.configuration.topics < $1.configuration.topics }
    guard let few = byTopics.first, let many = byTopics.last, many.configuration.topics > few.configuration.topics,
      let small = few.median(.serverMemory), let large = many.median(.serverMemory)
    else { return nil }
    return (large - small) * 1000 / Double(many.configuration.topics - few.configuration.topics)
  }
}

/// What a system could not do, or gave up.
struct FailedMeasurement: Codable, Equatable, Sendable {
  let system: String
  let work: Work
  let configuration: Configuration
  let text: String
}

extension Results {
  init(from file: URL) throws { try self.init(json: Data(contentsOf: file)) }

  init(json: Data) throws { self = try JSONDecoder().decode(Results.self, from: json) }

  func write(to file: URL) throws {
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try json.write(to: file)
  }

  /// A line for each measurement, so that a change of the file can be read.
  var json: Data {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      // Each begins with its configuration. Within a string the quotes would be escaped.
      let lines = String(decoding: try encoder.encode(self), as: UTF8.self)
        .replacing("{\"configuration\"", with: "\n{\"configuration\"")
      return Data((lines + "\n").utf8)
    }
  }
}
