/// What each round gave. Figures of systems that were measured in turn are compared round by round: what slowed the machine
/// for a while slowed both. Of others the medians are compared.
struct Rounds: Equatable, Sendable {
  /// Nil if it was not measured; a single one if it is made of figures that were not measured in turn.
  var values: [Double]?
  /// The groups that they were measured in; nil if it is made of figures that were not measured in turn.
  var groups: [Int]? = []
  /// Whose they are, where a bar leaves it open: the best system and its way of waiting.
  var names: [String] = []
  /// Who would have been compared as well, had they been measured.
  var missing: [String] = []

  static func / (left: Rounds, right: Rounds) -> Rounds { left.combined(with: right, by: /) }
  static func + (left: Rounds, right: Rounds) -> Rounds { left.combined(with: right, by: +) }
  static func - (left: Rounds, right: Rounds) -> Rounds { left.combined(with: right, by: -) }

  private func combined(with other: Rounds, by operation: (Double, Double) -> Double) -> Rounds {
    var result = Rounds(names: names + other.names, missing: missing + other.missing)
    guard let left = values, let right = other.values else { return result }
    if let groups, groups == other.groups, left.count == right.count {
      result.values = zip(left, right).map(operation)
      result.groups = groups
    } else if let left = left.median, let right = right.median {
      result.values = [operation(left, right)]
      result.groups = nil
    }
    return result
  }
}

extension Results {
  func rounds(_ system: String, _ work: Work, _ metric: Metric, _ configuration: Configuration) -> Rounds {
    measurement(system, work, configuration)?.figures(metric) ?? Rounds()
  }

  func latency(_ system: String, _ size: Int, _ mode: System.Mode, isTouched: Bool = true) -> Rounds {
    rounds(system, .latency, .p50, Configuration(size: size, isTouched: isTouched, mode: mode))
  }

  /// Messages a second.
  func rate(_ system: String, _ configuration: Configuration, _ work: Work = .throughput) -> Rounds {
    rounds(system, work, .messagesPerSecond, configuration)
  }

  /// Those of the system, and of its way of waiting, whose median is the best.
  func best(of systems: [System], _ work: Work, _ configuration: Configuration) -> Rounds {
    var best: (median: Double, rounds: Rounds)?
    var missing: [String] = []
    for system in systems {
      for configuration in System.Mode.allCases.map(configuration.waiting) where system.does(work, configuration) {
        let name = "\(system.name), \(configuration.mode)"
        guard let measured = measurement(system.name, work, configuration), let median = measured.median(work.metric)
        else {
          missing.append(name)
          continue
        }
        if let best, work.isRoundTrip ? best.median <= median : best.median >= median { continue }
        best = (median, measured.figures(work.metric))
        best?.rounds.names = [name]
      }
    }
    var rounds = best?.rounds ?? Rounds()
    rounds.missing = missing
    return rounds
  }

  func best(of name: String, _ work: Work, _ configuration: Configuration) -> Rounds {
    best(of: systems.filter { $0.name == name }, work, configuration)
  }

  /// The node's share of a core while messages flow at a configuration's rate: all its CPU in all the time. Not measured if
  /// they flowed more slowly.
  func nodeCPU(_ configuration: Configuration) -> Rounds {
    guard let rate = configuration.rate,
      let measured = measurement(System.poolBus, .growth, configuration),
      let shares = measured.rounds[.serverCPU], let rates = measured.rounds[.messagesPerSecond],
      let median = rates.median, median >= 0.9 * Double(rate * configuration.publishers)
    else { return Rounds() }
    // Every round has as many messages, so its time goes with one by its rate.
    let times = rates.map { 1 / $0 }
    return Rounds(values: [zip(shares, times).map(*).reduce(0, +) / times.reduce(0, +)])
  }
}

extension Measurement {
  fileprivate func figures(_ metric: Metric) -> Rounds { Rounds(values: rounds[metric], groups: groups) }
}
