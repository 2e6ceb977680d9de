/// The bars, in the order of the README's table.
extension Bar {
  static let all = latencies + throughputs + growth

  private static let ours = System.poolBus
  private static let floor = System.floor
  private static let handle = "handle"
  private static let iceoryx = "iceoryx"

  private static let latencies: [Bar] =
    [
      Bar(title: "spin 64 B latency / iceoryx polling", limit: .atMost(0.3), isShown: true) {
        $0.latency(ours, 64, .spin) / $0.latency(iceoryx, 64, .spin)
      },
      Bar(title: "spin 64 B latency / spinning floor", limit: .atMost(2), isShown: true) {
        $0.latency(ours, 64, .spin) / $0.latency(floor, 64, .spin)
      },
      Bar(title: "block 64 B latency / bare ZeroMQ handle", limit: .atMost(1.1)) {
        $0.latency(ours, 64, .block) / $0.latency(handle, 64, .block)
      },
      // Not adaptive: the ping itself would never sleep, and only half of its round trips be to a sleeper.
      Bar(title: "block 64 B latency to a sleeper / bare ZeroMQ handle", limit: .atMost(0.5), isShown: true) {
        let configuration = Configuration(size: 64, pause: Plan.pause)
        return $0.rounds(ours, .wake, .p50, configuration) / $0.rounds(handle, .wake, .p50, configuration)
      },
    ]
    + [1 << 20, 64 << 20].map { size in
      Bar(title: "block \(size >> 20) MiB latency / futex floor + one handle", limit: .atMost(1.05)) {
        let oneHandle = $0.latency(handle, 64, .block) - $0.latency(floor, 64, .block)
        return $0.latency(ours, size, .block) / ($0.latency(floor, size, .block) + oneHandle)
      }
    }
    + [1 << 20, 64 << 20].map { size in
      Bar(title: "adaptive \(size >> 20) MiB latency / best peer", limit: .atMost(1), isShown: true) {
        $0.latency(ours, size, .adaptive) / $0.best(of: $0.peers, .latency, Configuration(size: size))
      }
    }
    + System.Mode.allCases.map { mode in
      Bar(title: "\(mode) latency untouched, 64 MiB / 64 B", limit: .atMost(1.1), isShown: mode == .block) {
        $0.latency(ours, 64 << 20, mode, isTouched: false) / $0.latency(ours, 64, mode, isTouched: false)
      }
    }

  private static let throughputs: [Bar] =
    [
      Bar(title: "64 B messages/s, in batches / best peer", limit: .atLeast(8), isShown: true) {
        $0.best(of: System.batching, .throughput, Configuration(size: 64))
          / $0.best(of: $0.peers, .throughput, Configuration(size: 64))
      },
      Bar(title: "64 B messages/s, one by one / best peer", limit: .atLeast(1), isShown: true) {
        $0.best(of: ours, .throughput, Configuration(size: 64))
          / $0.best(of: $0.peers, .throughput, Configuration(size: 64))
      },
    ]
    + System.Mode.allCases.map { mode in
      Bar(title: "\(mode) 1 MiB GB/s / floor", limit: .atLeast(0.95), isShown: mode == .block) {
        let configuration = Configuration(size: 1 << 20, mode: mode)
        return $0.rate(ours, configuration) / $0.rate(floor, configuration)
      }
    }
    + [System.Mode.block, .spin].map { mode in
      Bar(title: "\(mode) 1 MiB GB/s / iceoryx", limit: .atLeast(1), isShown: mode == .block) {
        let configuration = Configuration(size: 1 << 20, mode: mode)
        return $0.rate(ours, configuration) / $0.rate(iceoryx, configuration)
      }
    }
    + [System.Mode.block, .adaptive].map { mode in
      Bar(title: "\(mode) 1 MiB to 8 subscribers / floor", limit: .atLeast(0.95), isShown: mode == .block) {
        let configuration = Configuration(size: 1 << 20, mode: mode, subscribers: 8)
        return $0.rate(ours, configuration, .fans) / $0.rate(floor, configuration, .fans)
      }
    }
    + [
      Bar(title: "block 1 MiB to 8 subscribers / ZeroMQ", limit: .atLeast(10), isShown: true) {
        let configuration = Configuration(size: 1 << 20, subscribers: 8)
        return $0.rate(ours, configuration, .fans) / $0.rate("zeromq", configuration, .fans)
      }
    ]
    + System.Mode.allCases.map { mode in
      Bar(title: "\(mode) CPU per GB at 1 MiB / floor", limit: .atMost(1.05), isShown: mode == .block) {
        let configuration = Configuration(size: 1 << 20, mode: mode)
        return $0.rounds(ours, .throughput, .cpuPerByte, configuration)
          / $0.rounds(floor, .throughput, .cpuPerByte, configuration)
      }
    }

  private static let growth: [Bar] =
    [
      Bar(title: "messages/s with 1,000 topics / with 1", limit: .atLeast(0.95), isShown: true) {
        $0.rate(ours, Plan.growth(topics: 1_000), .growth) / $0.rate(ours, Plan.growth(topics: 1), .growth)
      }
    ]
    + zip(["1 million messages/s of 64 B", "8 x 50,000 messages/s of 4 KiB"], Plan.steadyFlows).map { title, flow in
      Bar(title: "node CPU at \(title), share of a core", limit: .atMost(0.01), isShown: flow.publishers == 1) {
        $0.nodeCPU(flow)
      }
    }
}
