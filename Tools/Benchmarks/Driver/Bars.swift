import Foundation
import TextTable

/// What must be reached: ratios of figures of one run.
struct Bar: Sendable {
  let title: String
  /// The most that the figure may be, or the least that it must be.
  let limit: Limit
  let figure: @Sendable (Results) -> Double?

  enum Limit: Sendable {
    case atMost(Double)
    case atLeast(Double)
  }

  struct Verdict {
    let title: String
    let limit: Limit
    let figure: Double?

    var isMet: Bool {
      guard let figure else { return false }
      return switch limit {
      case .atMost(let most): figure <= most
      case .atLeast(let least): figure >= least
      }
    }
  }

  func judged(by results: Results) -> Verdict { Verdict(title: title, limit: limit, figure: figure(results)) }

  static func table(_ verdicts: [Verdict]) -> String {
    let table = TextTable<Verdict> { verdict in
      let limit =
        switch verdict.limit {
        case .atMost(let most): "at most \(most)"
        case .atLeast(let least): "at least \(least)"
        }
      return [
        Column(title: "BAR", value: verdict.title), Column(title: "LIMIT", value: limit),
        Column(
          title: "FIGURE", value: verdict.figure.map { String(format: "%.4f", $0) } ?? "not measured", align: .right),
        Column(title: "", value: verdict.isMet ? "met" : "MISSED"),
      ]
    }
    return table.string(for: verdicts, style: Style.plain) ?? ""
  }

  // MARK: - The bars

  static let all: [Bar] =
    [
      Bar(title: "spin 64 B latency / spinning floor", limit: .atMost(2)) {
        $0.latency(ours, 64, .spin) / $0.latency(floor, 64, .spin)
      },
      Bar(title: "spin 64 B latency / iceoryx polling", limit: .atMost(0.3)) {
        $0.latency(ours, 64, .spin) / $0.latency("iceoryx", 64, .spin)
      },
      Bar(title: "block 64 B latency / bare ZeroMQ handle", limit: .atMost(1.1)) {
        $0.latency(ours, 64, .block) / $0.latency("handle", 64, .block)
      },
    ]
    + [System.Mode.block, .adaptive].map { mode in
      Bar(title: "\(mode) 64 B latency to a sleeper / bare ZeroMQ handle", limit: .atMost(0.5)) {
        $0.wake(ours, mode) / $0.wake("handle", .block)
      }
    }
    + System.Mode.allCases.map { mode in
      Bar(title: "\(mode) latency untouched, 64 MiB / 64 B", limit: .atMost(1.1)) {
        $0.latency(ours, 64 << 20, mode, isTouched: false) / $0.latency(ours, 64, mode, isTouched: false)
      }
    }
    + [1 << 20, 64 << 20].flatMap { size in
      [
        Bar(title: "block \(size >> 20) MiB latency / futex floor + one handle", limit: .atMost(1.05)) { results in
          let handle = results.latency("handle", 64, .block) - results.latency(floor, 64, .block)
          return results.latency(ours, size, .block) / (results.latency(floor, size, .block) + handle)
        },
        Bar(title: "adaptive \(size >> 20) MiB latency / best peer", limit: .atMost(1)) { results in
          results.latency(ours, size, .adaptive)
            / results.peers.flatMap { peer in System.Mode.allCases.map { results.latency(peer, size, $0) } }.least
        },
      ]
    }
    + [
      Bar(title: "64 B messages/s, published in batches / best peer", limit: .atLeast(8)) { results in
        results.rate(System.batching, Configuration(size: 64))
          / results.peers.map { results.rate($0, Configuration(size: 64)) }.most
      },
      Bar(title: "1 MiB GB/s / floor", limit: .atLeast(0.95)) {
        $0.rate(ours, Configuration(size: 1 << 20)) / $0.rate(floor, Configuration(size: 1 << 20))
      },
      Bar(title: "1 MiB GB/s / iceoryx", limit: .atLeast(1)) {
        $0.rate(ours, Configuration(size: 1 << 20)) / $0.rate("iceoryx", Configuration(size: 1 << 20))
      },
      Bar(title: "1 MiB to 8 subscribers / floor", limit: .atLeast(0.95)) {
        $0.rate(ours, Configuration(size: 1 << 20, subscribers: 8), .fans)
          / $0.rate(floor, Configuration(size: 1 << 20, subscribers: 8), .fans)
      },
      Bar(title: "1 MiB to 8 subscribers / ZeroMQ", limit: .atLeast(10)) {
        $0.rate(ours, Configuration(size: 1 << 20, subscribers: 8), .fans)
          / $0.rate("zeromq", Configuration(size: 1 << 20, subscribers: 8), .fans)
      },
      Bar(title: "CPU per GB at 1 MiB / floor", limit: .atMost(1.05)) { results in
        let configuration = Configuration(size: 1 << 20)
        return (results.median(ours, .throughput, .cpuPerByte, configuration) ?? .nan)
          / (results.median(floor, .throughput, .cpuPerByte, configuration) ?? .nan)
      },
      Bar(title: "messages/s with 1,000 topics / with 1", limit: .atLeast(0.95)) {
        $0.rate(ours, Configuration(size: 64, mode: .adaptive, topics: 1_000), .growth, anyMode: false)
          / $0.rate(ours, Configuration(size: 64, mode: .adaptive, topics: 1), .growth, anyMode: false)
      },
      Bar(title: "node CPU at a million messages/s, share of a core", limit: .atMost(0.01)) { results in
        let configuration = Configuration(size: 64, mode: .adaptive, topics: 1)
        guard let cpu = results.median(ours, .growth, .serverCPU, configuration),
          let rate = results.median(ours, .growth, .messagesPerSecond, configuration)
        else { return nil }
        // What the flow that was measured took, for a million.
        return cpu * 1e6 / rate
      },
    ]

  private static let ours = System.poolBus
  private static let floor = System.floor
}

extension Results {
  /// The systems that are neither ours nor a floor.
  var peers: [String] { systems.filter { !([System.poolBus, System.batching] + System.floors).contains($0) } }

  func latency(_ system: String, _ size: Int, _ mode: System.Mode, isTouched: Bool = true) -> Double {
    median(system, .latency, .p50, Configuration(size: size, isTouched: isTouched, mode: mode)) ?? .nan
  }

  func wake(_ system: String, _ mode: System.Mode) -> Double {
    median(system, .wake, .p50, Configuration(size: 64, mode: mode, pause: Runner.pause)) ?? .nan
  }

  /// Messages a second; in the mode that is best for the system, if any will do.
  func rate(_ system: String, _ configuration: Configuration, _ work: Work = .throughput, anyMode: Bool = true)
    -> Double
  {
    (anyMode ? System.Mode.allCases : [configuration.mode]).map { mode in
      var configuration = configuration
      configuration.mode = mode
      return median(system, work, .messagesPerSecond, configuration) ?? .nan
    }.most
  }
}

extension [Double] {
  /// The largest that was measured.
  fileprivate var most: Double { filter { !$0.isNaN }.max() ?? .nan }
  fileprivate var least: Double { filter { !$0.isNaN }.min() ?? .nan }
}
