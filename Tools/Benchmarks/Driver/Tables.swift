import Foundation
import TextTable

/// The results for people: a table for each kind of work, medians of the rounds with their spread.
struct Tables {
  private let results: Results

  init(_ results: Results) { self.results = results }

  var text: String {
    let memory = results.nodeMemoryPerThousandTopics.map {
      String(format: "memory of the node per 1,000 topics: %.2f MiB", $0 / 1_048_576)
    }
    let notes = results.measuredSystems.compactMap { system in system.note.map { "\(system.title): \($0)" } }
    let failures = results.failures.isEmpty ? nil : Self.failures(results.failures, title: "FAILURE")
    let parts = Work.allCases.map(table) + [memory, notes.joined(separator: "\n"), failures]
    return (["\(results.run)"] + parts.compactMap { $0 }.filter { !$0.isEmpty }).joined(separator: "\n\n")
  }

  static func failures(_ failures: [FailedMeasurement], title: String) -> String {
    let table = TextTable<FailedMeasurement> { failure in
      [
        Column(title: title, value: failure.system), Column(title: "WORK", value: failure.work.rawValue),
        Column(title: "CONFIGURATION", value: "\(failure.configuration)"), Column(title: "", value: failure.text),
      ]
    }
    return table.string(for: failures, style: Style.plain) ?? ""
  }

  private func table(_ work: Work) -> String? {
    let rows = results.measurements.filter { $0.work == work }
    guard !rows.isEmpty else { return nil }
    let table = TextTable<Measurement> { row in
      let floor = results.measurement(System.floor, work, row.configuration)?.median(work.metric)
      let figures: [(String, String)] =
        switch work {
        case .latency, .wake:
          [
            ("P50", Self.spread(row, .p50, Self.time)), ("P99", row.tail?.p99.map(Self.time) ?? ""),
            ("P99.9", row.tail?.p999.map(Self.time) ?? ""), ("SAMPLES", row.tail.map { "\($0.samples)" } ?? ""),
          ]
        case .throughput, .fans, .growth:
          [
            ("MESSAGES/s", Self.spread(row, .messagesPerSecond, Self.count)),
            ("GB/s", Self.spread(row, .bytesPerSecond) { String(format: "%.3f", $0 / 1e9) }),
          ]
        }
      let cpu = [
        ("CPU s/GB", Self.spread(row, .cpuPerByte) { String(format: "%.3f", $0) }),
        ("CPU s/M", Self.spread(row, .cpuPerMessage) { String(format: "%.3f", $0 / 1e3) }),
      ]
      let node = ("NODE CPU", Self.spread(row, .serverCPU) { String(format: "%.2f %%", $0 * 100) })
      let growth = [
        ("POOL MiB", row.configuration.pool.map { "\($0 >> 20)" } ?? ""),
        ("RATE", row.configuration.rate.map { Self.count(Double($0)) } ?? ""), node,
        ("NODE MiB", Self.spread(row, .serverMemory) { String(format: "%.1f", $0 / 1_048_576) }),
      ]
      let columns = figures + cpu + (work == .growth ? growth : work == .fans ? [node] : [])
      let ratio = row.median(work.metric).flatMap { value in floor.map { String(format: "%.2f", value / $0) } }
      return [
        Column(title: work.rawValue.uppercased(), value: row.system),
        Column(title: "BYTES", value: "\(row.configuration.size)", align: .right),
        Column(title: "TOUCHED", value: row.configuration.isTouched ? "yes" : "no"),
        Column(title: "WAITING", value: row.configuration.mode.rawValue),
        Column(
          title: "ENDS", value: "\(row.configuration.publishers):\(row.configuration.subscribers)", align: .right),
        Column(title: "TOPICS", value: "\(row.configuration.topics)", align: .right),
      ] + columns.map { Column(title: $0.0, value: $0.1, align: .right) } + [
        Column(title: "x FLOOR", value: ratio ?? "", align: .right)
      ]
    }
    return table.string(for: rows, style: Style.plain)
  }

  /// One figure of a measurement, for the log of a run.
  static func headline(_ measurement: Measurement) -> String {
    measurement.work.isRoundTrip
      ? value(measurement, .p50, time) : value(measurement, .messagesPerSecond) { "\(count($0))/s" }
  }

  private static func value(_ row: Measurement, _ metric: Metric, _ format: (Double) -> String) -> String {
    row.median(metric).map(format) ?? ""
  }

  private static func spread(_ row: Measurement, _ metric: Metric, _ format: (Double) -> String) -> String {
    guard let rounds = row.rounds[metric], let median = rounds.median, let low = rounds.min(), let high = rounds.max()
    else { return "" }
    return "\(format(median)) (\(format(low))-\(format(high)))"
  }

  private static func time(_ nanoseconds: Double) -> String {
    nanoseconds < 10_000
      ? String(format: "%.2f us", nanoseconds / 1e3)
      : nanoseconds < 10_000_000
        ? String(format: "%.0f us", nanoseconds / 1e3) : String(format: "%.1f ms", nanoseconds / 1e6)
  }

  private static func count(_ value: Double) -> String {
    value >= 1e6
      ? String(format: "%.2f M", value / 1e6)
      : value >= 1e4
        ? String(format: "%.0f k", value / 1e3)
        : String(format: "%.0f", value)
  }
}
