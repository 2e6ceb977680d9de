import Foundation
import Histogram
import Testing

@testable import bench

@Suite struct ResultsTests {
  @Test func `results survive encoding and decoding, a line for each measurement`() throws {
    var results = emptyResults(.ours, .plainMemory)
    results.addRates([10, 20], of: "poolbus", .block, size: 64)
    results.addRates([30, 40], of: "floor", .spin, size: 64)
    results.measurements[0].tail = Measurement.Tail(histogram(of: 1_000))
    results.failures = [failure(of: "floor", "it said {\"configuration\"")]
    let json = try results.json
    #expect(try Results(json: json) == results)
    let text = String(decoding: json, as: UTF8.self)
    #expect(text.contains("\"messagesPerSecond\":[10,20]"))
    #expect(text.split(separator: "\n").count == 1 + results.measurements.count + results.failures.count)
  }

  @Test func `rounds of the same work come together`() {
    var results = emptyResults(.ours)
    results.addRates([1], of: "poolbus", .block, size: 64)
    results.addRates([2], of: "poolbus", .block, size: 64)
    results.addRates([3], of: "poolbus", .spin, size: 64)
    #expect(results.measurements.map { $0.rounds[.messagesPerSecond] } == [[1, 2], [3]])
  }

  @Test(arguments: [(999, false, false), (1_000, true, false), (9_999, true, false), (10_000, true, true)])
  func `a percentile is left empty where fewer than ten samples are slower`(count: Int, hasP99: Bool, hasP999: Bool) {
    let tail = Measurement.Tail(histogram(of: count))
    #expect(tail.samples == count)
    #expect((tail.p99 != nil) == hasP99)
    #expect((tail.p999 != nil) == hasP999)
  }

  @Test func `floors and ours are no peers`() {
    let results = emptyResults(.ours, .plainMemory, System("poolbus-batch"), System("a"))
    #expect(results.peers.map(\.name) == ["a"])
  }

  @Test func `failures are printed, and those of PoolBus count`() {
    var results = emptyResults(.ours, .plainMemory)
    results.failures = [failure(of: "floor", "fell"), failure(of: "poolbus", "stumbled")]
    #expect(results.failuresOfOurs.map(\.text) == ["stumbled"])
    let text = Tables(results).text
    #expect(text.contains("fell") && text.contains("stumbled") && text.contains("64 bytes, block"))
  }

  @Test func `a check passes if no bar is missed and PoolBus has not failed`() throws {
    var results = emptyResults(.ours, .plainMemory)
    for system in ["poolbus", "floor"] { results.addRates([10], of: system, .block, size: 1 << 20) }
    let met = try results.verdict("block 1 MiB GB/s / floor")
    #expect(results.pass([met]))
    #expect(!results.pass([met, try results.verdict("spin 1 MiB GB/s / floor")]))
    results.failures = [failure(of: "floor", "fell")]
    #expect(results.pass([met]))
    results.failures.append(failure(of: "poolbus-batch", "stumbled"))
    #expect(!results.pass([met]))
  }

  @Test func `without points there is no picture`() {
    var results = emptyResults(.ours)
    #expect(Plot.latency(results) == nil)
    for size in [64, 1 << 20] { results.addRates([1], of: "poolbus", .block, size: size) }
    #expect(Plot.throughput(results) == nil)
  }

  private func failure(of system: String, _ text: String) -> FailedMeasurement {
    FailedMeasurement(system: system, work: .latency, configuration: Configuration(size: 64), text: text)
  }

  private func histogram(of count: Int) -> Histogram<UInt64> {
    var histogram = Histogram<UInt64>.ofLatencies
    for value in 0..<count { histogram.record(UInt64(value)) }
    return histogram
  }
}
