import Testing

@testable import bench

/// A run of these systems, with nothing measured yet.
func emptyResults(_ systems: System...) -> Results {
  Results(run: Run(date: "2026-01-01 00:00:00", code: "abc", rounds: 3, seconds: 0.1), systems: systems)
}

extension System {
  init(_ name: String, modes: [Mode] = Mode.allCases, floor: Bool? = nil) {
    self.init(
      name: name, title: name, program: name, modes: modes, server: false, floor: floor, packages: [])
  }

  static let ours = System(System.poolBus)
  static let plainMemory = System(System.floor, floor: true)
}

extension Results {
  /// Adds rounds; all that are in one group were measured in turn.
  mutating func add(
    _ work: Work, _ metric: Metric, _ rounds: [Double], of system: String, _ configuration: Configuration,
    group: Int = 1
  ) {
    add(
      Measurement(
        work: work, system: system, configuration: configuration, groups: [group], rounds: [metric: rounds]))
  }

  mutating func addRates(
    _ rounds: [Double], of system: String, _ mode: System.Mode, size: Int, group: Int = 1
  ) {
    add(.throughput, .messagesPerSecond, rounds, of: system, Configuration(size: size, mode: mode), group: group)
  }

  func verdict(_ title: String) throws -> Verdict {
    try #require(Bar.all.first { $0.title == title }).judged(by: self)
  }
}
