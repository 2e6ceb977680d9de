import TextTable

/// What came of one episode.
struct Outcome: Sendable {
  var processes = 0
  var faults: [String: Int] = [:]
  var published = 0
  var received = 0
  var lagged = 0
  var bytes = 0
  var refusals = 0
  /// Publishers and subscriptions that came to an error, as they may after what was done to them or to the node.
  var failures = 0
  var violations: [Violation] = []

  mutating func count(_ evidence: Evidence) {
    for stream in evidence.streams {
      published += stream.certain
      refusals += stream.refusals.count
      if stream.failure != nil { failures += 1 }
    }
    for subscription in evidence.subscriptions {
      if subscription.failure != nil { failures += 1 }
      for event in subscription.events {
        switch event {
        case .received(_, _, let size, _):
          received += 1
          bytes += Int(size)
        case .lagged(_, let sequences): lagged += sequences.count
        case .damaged, .corrupt: break
        }
      }
    }
  }

  var summary: String {
    "\(processes) processes, \(faults.values.reduce(0, +)) faults, \(published) published, \(received) received, "
      + "\(lagged) lagged, \(violations.isEmpty ? "sound" : "\(violations.count) VIOLATIONS")"
  }
}

/// What came of all of them.
struct Report {
  private(set) var episodes = 0
  private var total = Outcome()

  var violations: Int { total.violations.count }

  mutating func add(_ outcome: Outcome) {
    episodes += 1
    total.processes += outcome.processes
    total.faults.merge(outcome.faults, uniquingKeysWith: +)
    total.published += outcome.published
    total.received += outcome.received
    total.lagged += outcome.lagged
    total.bytes += outcome.bytes
    total.refusals += outcome.refusals
    total.failures += outcome.failures
    total.violations += outcome.violations
  }

  /// - Parameter mayLoseNodes: clients of a node that was killed did not have to live through it.
  func text(seed: UInt64, mayLoseNodes: Bool) -> String {
    let rows: [(title: String, value: Int)] =
      [("episodes", episodes), ("processes started", total.processes)]
      + total.faults.sorted { $0.key < $1.key }.map { ("  \($0.key)", $0.value) }
      + [
        ("faults", total.faults.values.reduce(0, +)), ("messages published", total.published),
        ("messages received", total.received), ("messages lagged, by a policy", total.lagged),
        ("loans refused, of a full pool or of no memory", total.refusals),
        ("ends that failed, of what was done to them", total.failures), ("bytes verified", total.bytes),
        ("violations", total.violations.count),
      ]
    let table = TextTable<(title: String, value: Int)> { row in
      [Column(title: "SEED \(seed)", value: row.title), Column(title: "", value: "\(row.value)", align: .right)]
    }
    let verdict =
      total.violations.isEmpty
      ? "every message in order, once or reported lost; every byte intact; nothing held by the dead; all of the pool free"
      : "PoolBus did not hold what it promises: see above"
    let note =
      mayLoseNodes
      ? "clients of a node that was killed could come to their end, and had to be served by the next one: --expect-rejoin asks for more"
      : nil
    return [table.string(for: rows, style: Style.plain), verdict, note].compactMap(\.self).joined(separator: "\n")
  }
}
