import Testing

@testable import bench

@Suite struct BarTests {
  private let throughput = "block 1 MiB GB/s / floor"

  @Test func `the median of the rounds' ratios is judged, not the ratio of the medians`() throws {
    var results = emptyResults(.ours, .plainMemory)
    results.addRates([10, 20, 90], of: "poolbus", .block, size: 1 << 20)
    results.addRates([10, 40, 60], of: "floor", .block, size: 1 << 20)
    let verdict = try results.verdict(throughput)
    #expect(verdict.figure == 1)
    #expect(verdict.range == 0.5...1.5)
    #expect(verdict.isMet)
  }

  @Test func `what is below the least is missed`() throws {
    var results = emptyResults(.ours, .plainMemory)
    results.addRates([9, 9, 9], of: "poolbus", .block, size: 1 << 20)
    results.addRates([10, 10, 10], of: "floor", .block, size: 1 << 20)
    let verdict = try results.verdict(throughput)
    #expect(verdict.figure == 0.9)
    #expect(!verdict.isMet)
  }

  @Test func `another way of waiting is not compared`() throws {
    var results = emptyResults(.ours, .plainMemory)
    results.addRates([10], of: "poolbus", .spin, size: 1 << 20)
    results.addRates([10], of: "floor", .block, size: 1 << 20)
    let verdict = try results.verdict(throughput)
    #expect(verdict.figure == nil)
    #expect(!verdict.isMet)
    #expect(Verdict.table([verdict]).contains("not measured"))
  }

  @Test func `of what was not measured in turn the medians are compared, and that is said`() throws {
    var results = emptyResults(.ours, .plainMemory)
    results.addRates([10, 20, 90], of: "poolbus", .block, size: 1 << 20, group: 1)
    results.addRates([10, 40, 60], of: "floor", .block, size: 1 << 20, group: 2)
    let verdict = try results.verdict(throughput)
    #expect(verdict.figure == 0.5)
    #expect(verdict.range == nil)
    #expect(!verdict.isInTurn)
    #expect(Verdict.table([verdict]).contains("not in turn"))
  }

  @Test func `rounds of several groups are compared if both are of the same ones`() throws {
    var results = emptyResults(.ours, .plainMemory)
    for group in 1...2 {
      results.addRates([10, 20], of: "poolbus", .block, size: 1 << 20, group: group)
      results.addRates([20, 10], of: "floor", .block, size: 1 << 20, group: group)
      // Of the third group one has failed in each.
      results.addRates([10, 20], of: "poolbus", .spin, size: 1 << 20, group: group)
      results.addRates([20, 10], of: "floor", .spin, size: 1 << 20, group: group + 1)
    }
    #expect(try results.verdict(throughput).rounds.values == [0.5, 2, 0.5, 2])
    #expect(try results.verdict("spin 1 MiB GB/s / floor").rounds.values == [1])
  }

  @Test func `the best peer and its way of waiting are named, and who is missing`() throws {
    var results = emptyResults(.ours, .plainMemory, System("a"), System("b", modes: [.block, .spin]), System("c"))
    results.systems[4].work = [.latency]
    results.addRates([8, 6], of: "poolbus", .adaptive, size: 64)
    results.addRates([5, 7], of: "poolbus", .block, size: 64)
    results.addRates([99, 99], of: "floor", .spin, size: 64)
    results.addRates([1, 1], of: "a", .block, size: 64)
    results.addRates([4, 2], of: "b", .spin, size: 64)
    let verdict = try results.verdict("64 B messages/s, one by one / best peer")
    #expect(verdict.rounds.values == [2, 3])
    #expect(verdict.rounds.names == ["poolbus, adaptive", "b, spin"])
    #expect(verdict.rounds.missing == ["poolbus, spin", "a, spin", "a, adaptive", "b, block"])
    #expect(verdict.compared.hasPrefix("poolbus, adaptive / b, spin (not measured: "))
  }

  @Test func `sums are made round by round, and of latencies the least is the best`() throws {
    var results = emptyResults(.ours, .plainMemory, System("handle", floor: true), System("a"))
    let small = Configuration(size: 64)
    let large = Configuration(size: 1 << 20)
    results.add(.latency, .p50, [10, 20], of: "floor", small)
    results.add(.latency, .p50, [30, 60], of: "handle", small)
    results.add(.latency, .p50, [80, 60], of: "floor", large)
    results.add(.latency, .p50, [50, 200], of: "poolbus", large)
    #expect(try results.verdict("block 1 MiB latency / futex floor + one handle").rounds.values == [0.5, 2])

    results.add(.latency, .p50, [50, 50], of: "poolbus", large.waiting(.adaptive))
    results.add(.latency, .p50, [100, 25], of: "a", large.waiting(.spin))
    results.add(.latency, .p50, [200, 200], of: "a", large)
    let verdict = try results.verdict("adaptive 1 MiB latency / best peer")
    #expect(verdict.rounds.values == [0.5, 2])
    #expect(verdict.rounds.names == ["a, spin"])
  }

  @Test func `what is made of figures that were not measured in turn is not in turn with anything`() throws {
    var results = emptyResults(.ours, .plainMemory, System("handle", floor: true))
    for (group, size) in [64, 1 << 20].enumerated() {
      let configuration = Configuration(size: size)
      results.add(.latency, .p50, [10, 20, 60], of: "floor", configuration, group: group)
      results.add(.latency, .p50, [40, 60, 90], of: "handle", configuration, group: group)
      results.add(.latency, .p50, [25, 50, 90], of: "poolbus", configuration, group: group)
    }
    let verdict = try results.verdict("block 1 MiB latency / futex floor + one handle")
    // 50 of 20, and 30 for the handle.
    #expect(verdict.rounds.values == [1])
    #expect(!verdict.isInTurn)
  }

  @Test func `all modes of ours are in turn with the same of others, and adaptive with spin`() {
    for work in [Work.latency, .throughput] {
      let groups = Plan().configurations(of: work)
      for size in Plan.sizes {
        let modes = groups.map { group in group.filter { $0.size == size && $0.isTouched }.map(\.mode) }
        let starts = work == .throughput && size == Plan.sizeNearBars ? 3 : 1
        let once: [[System.Mode]] = [[.block], [.adaptive, .spin]]
        #expect(modes.filter { !$0.isEmpty } == Array(repeating: once, count: starts).flatMap { $0 })
      }
    }
  }

  @Test func `what is near a bar is started more than once, and other work lies between`() {
    let groups = Plan().configurations(of: .throughput)
    let starts = groups.indices.filter { groups[$0] == [Configuration(size: Plan.sizeNearBars)] }
    #expect(starts.count == 3)
    #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 > 1 })
    let fans = Plan().configurations(of: .fans)
    #expect(fans.count { $0.contains { $0.subscribers == 8 } } == 3)
  }

  @Test func `the node's CPU is that of all the time, and only of a flow that reached its rate`() {
    var results = emptyResults(.ours)
    let flow = Configuration(size: 64, mode: .adaptive, rate: 100)
    #expect(results.nodeCPU(flow).values == nil)
    // Three tenths of a core in one round, and nothing in one that lasts twice as long.
    results.measurements = [
      Measurement(
        work: .growth, system: "poolbus", configuration: flow, groups: [1],
        rounds: [.serverCPU: [0.3, 0], .messagesPerSecond: [100, 50]])
    ]
    #expect(results.nodeCPU(flow).values == nil)
    results.measurements[0].rounds[.messagesPerSecond] = [200, 100]
    #expect(results.nodeCPU(flow).values.map { abs($0[0] - 0.1) < 1e-9 } == true)
  }

  @Test func `a million messages a second are a bar, and 8 publishers`() throws {
    let titles = Bar.all.map(\.title)
    #expect(titles.contains("node CPU at 1 million messages/s of 64 B, share of a core"))
    #expect(titles.contains("node CPU at 8 x 50,000 messages/s of 4 KiB, share of a core"))
    #expect(Set(titles).count == titles.count)
  }
}
