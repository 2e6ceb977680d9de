import Histogram

/// Does the work, system by system and turn by turn.
struct Runner {
  let systems: [System]
  let programs: String
  let rounds: Int
  let seconds: Double
  let plan: Plan

  func run(_ work: Work, into results: inout Results) {
    for configurations in plan.configurations(of: work) { measure(work, configurations, into: &results) }
  }

  /// A system at one work, warm.
  private struct Candidate {
    let run: SystemRun
    let count: Int
    var measurement: Measurement
    var latencies = Histogram<UInt64>.ofLatencies
    var hasFailed = false

    /// One more round.
    mutating func measure() throws {
      let round = try run.round(count)
      for (metric, value) in round.figures { measurement.rounds[metric, default: []].append(value) }
      if let latencies = round.latencies { self.latencies.add(latencies) }
    }

    /// What all its rounds gave.
    var measured: Measurement {
      var measurement = measurement
      if measurement.work.isRoundTrip { measurement.tail = Measurement.Tail(latencies) }
      return measurement
    }
  }

  /// All systems at one work: started, warmed up, then measured in turn, forth and back (A B B A): what one of two that are
  /// compared gains by coming later, it loses the next time. None follows itself.
  private func measure(_ work: Work, _ configurations: [Configuration], into results: inout Results) {
    var candidates: [Candidate] = []
    defer { for candidate in candidates where !candidate.hasFailed { candidate.run.end() } }
    let group = results.nextGroup
    HostPages.find(configurations.map(\.bytesUnderWay).max() ?? 0)
    // What is compared is measured in neighbouring turns: one system's own, and systems as systems.json has them.
    for system in systems {
      for configuration in configurations where system.does(work, configuration) {
        if system.isAlone == true, candidates.contains(where: { $0.measurement.system == system.name }) {
          report("skipped \(system.title) at \(work), \(configuration): there can be one of its servers only")
          continue
        }
        let measurement = Measurement(
          work: work, system: system.name, configuration: configuration, groups: [group])
        do {
          let run = try SystemRun(system, work, configuration, programs: programs)
          do {
            candidates.append(Candidate(run: run, count: try warmUp(run, configuration), measurement: measurement))
          } catch {
            run.kill()
            throw error
          }
        } catch {
          note(error, of: measurement, in: &results)
        }
      }
    }
    for round in 0..<rounds {
      let turns = round.isMultiple(of: 2) ? Array(candidates.indices) : candidates.indices.reversed()
      // Who ended the last round begins this one, and would find its own payloads in the caches: its neighbour has a turn
      // before it that does not count. If that fails, so does its next.
      if let ahead = turns.dropFirst().first(where: { !candidates[$0].hasFailed }) {
        _ = try? candidates[ahead].run.round(candidates[ahead].count)
      }
      for index in turns where !candidates[index].hasFailed {
        do { try candidates[index].measure() } catch {
          candidates[index].run.kill()
          candidates[index].hasFailed = true
          note(error, of: candidates[index].measurement, in: &results)
        }
      }
    }
    let measurements = candidates.filter { !$0.hasFailed }.map(\.measured)
    for measurement in measurements { results.add(measurement) }
    for configuration in configurations {
      let figures = measurements.filter { $0.configuration == configuration }
        .map { "\($0.system) \(Tables.headline($0))" }
      report("\(work), \(configuration): \(figures.joined(separator: ", "))")
    }
  }

  private func note(_ error: any Error, of measurement: Measurement, in results: inout Results) {
    report("\(measurement.system) failed at \(measurement.work), \(measurement.configuration): \(error)")
    results.failures.append(
      FailedMeasurement(
        system: measurement.system, work: measurement.work, configuration: measurement.configuration, text: "\(error)"))
  }

  /// Runs until all is warm; returns how many messages a round shall have to last as long as it should.
  private func warmUp(_ run: SystemRun, _ configuration: Configuration) throws -> Int {
    var count = configuration.size > 1 << 20 ? 4 : 64
    // What is slow once may be what is done once, as to touch fresh memory.
    var wasSlow = false
    // Of payloads that are not written whole there are more and more under way, whose memory is found and cleared meanwhile.
    let memory = configuration.isTouched ? 0 : Double(configuration.bytesUnderWay)
    let warming = Duration.seconds(0.3 + memory / 3e9)
    let begin = ContinuousClock.now
    for _ in 0..<256 {
      let start = ContinuousClock.now
      _ = try run.round(count)
      let elapsed = (ContinuousClock.now - start) / .seconds(1)
      let isSlow = elapsed > seconds / 2
      let factor = seconds / max(elapsed, 1e-6)
      if isSlow, wasSlow, ContinuousClock.now - begin > warming { return max(Int(Double(count) * factor), 4) }
      if !isSlow { count = min(Int(Double(count) * min(max(factor, 1.5), 10)), 20_000_000) }
      wasSlow = isSlow
    }
    return count
  }
}
