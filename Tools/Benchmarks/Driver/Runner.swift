import Foundation
import Histogram

/// Does the work, system by system and turn by turn.
struct Runner {
  let systems: [System]
  let rounds: Int
  let seconds: Double
  let sizes: [Int]

  static let sizes = [64, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20]
  static let topics = [1, 10, 100, 1_000]
  static let subscribers = [1, 2, 4, 8, 16, 32, 64]
  static let largest = 256 << 20
  /// Microseconds after which all who wait have gone to sleep.
  static let pause = 500
  static let pools = [64 << 20, 256 << 20, 1 << 30, 4 << 30, 8 << 30]

  func run(_ work: Work, into results: inout Results) throws {
    for configurations in configurations(of: work) {
      for (system, configuration) in try measure(work, configurations, of: systems, into: &results) {
        _ = try measure(work, [configuration], of: [system], into: &results)
      }
    }
    if work == .growth { results.noteNodeMemory() }
  }

  /// What is done, in the order in which it is; what is in one list is measured in turn.
  private func configurations(of work: Work) -> [[Configuration]] {
    let sizes = sizes.isEmpty ? Self.sizes : sizes
    switch work {
    case .latency, .throughput:
      // A size's modes in turn, as ours are compared with others' in whichever is best for those; but for one, as there
      // are systems of which one only can be there. Untouched payloads are compared with those of other sizes.
      let touched = sizes.flatMap { size in
        [[System.Mode.block, .adaptive], [.spin]].map { modes in modes.map { Configuration(size: size, mode: $0) } }
      }
      let untouched = System.Mode.allCases.flatMap { mode in
        Self.extremesTogether(sizes).map { sizes in
          sizes.map { Configuration(size: $0, isTouched: false, mode: mode) }
        }
      }
      return touched + untouched
    case .wake:
      return [
        [System.Mode.block, .adaptive].map { Configuration(size: 64, mode: $0, pause: Self.pause) }
      ]
    case .fans:
      let modes = [System.Mode.block, .adaptive]
      return [
        modes.map { Configuration(size: 1 << 20, mode: $0, subscribers: 8) },
        modes.map { Configuration(size: 4 << 10, mode: $0, publishers: 8) },
      ]
    case .growth:
      // One thing grows at a time; topics also together with subscribers.
      let others =
        Self.subscribers.map { Configuration(size: 4 << 10, mode: .block, subscribers: $0) }
        + [8, 64].flatMap { subscribers in
          Self.topics.dropFirst().map {
            Configuration(size: 4 << 10, mode: .block, subscribers: subscribers, topics: $0)
          }
        }
        + (sizes + [Self.largest]).filter { $0 != 4 << 10 }.map { Configuration(size: $0, mode: .block) }
        + Self.pools.map { Configuration(size: 1 << 20, mode: .block, pool: $0) }
      // A few starts of these, as one start of a process may be faster than the next by more than what topics cost.
      let topics = Self.topics.map { Configuration(size: 64, mode: .adaptive, topics: $0) }
      return Array(repeating: topics, count: 3) + others.map { [$0] }
    }
  }

  /// The first and the last in one list, each of the others in one of its own.
  private static func extremesTogether(_ sizes: [Int]) -> [[Int]] {
    guard let first = sizes.first, let last = sizes.last, sizes.count > 1 else { return sizes.map { [$0] } }
    return [[first, last]] + sizes.dropFirst().dropLast().map { [$0] }
  }

  /// All systems at one work: started, warmed up, then measured in turn.
  ///
  /// - Returns: what is left to be done by systems of which one only can be there at a time.
  private func measure(
    _ work: Work, _ configurations: [Configuration], of systems: [System], into results: inout Results
  ) throws -> [(System, Configuration)] {
    var runs: [(run: SystemRun, count: Int, measurement: Measurement)] = []
    var left: [(System, Configuration)] = []
    defer { for (run, _, _) in runs { run.end() } }
    // Of payloads that are not written whole there may be many more under way.
    HostMemory.find(configurations.map { $0.size * ($0.isTouched ? 8 : 128) }.max() ?? 0)
    for configuration in configurations {
      for system in systems where system.takes(configuration.size, configuration.mode) {
        // What grows is ours; the others are measured where all do the same.
        if work == .growth, system.name != System.poolBus { continue }
        if !system.does(work) { continue }
        if system.isAlone == true, runs.contains(where: { $0.measurement.system == system.name }) {
          left.append((system, configuration))
          continue
        }
        do {
          let run = try SystemRun(system, work, configuration)
          let count: Int
          do { count = try warmUp(run, configuration) } catch {
            run.kill()
            throw error
          }
          runs.append((run, count, Measurement(work: work, system: system.name, configuration: configuration)))
        } catch {
          report("\(system.title) can't do \(work) of \(configuration.size) bytes: \(error)")
        }
      }
    }
    for _ in 0..<rounds {
      for index in runs.indices {
        guard !runs[index].run.hasFailed else { continue }
        do {
          let figures = try runs[index].run.round(runs[index].count)
          for (metric, value) in figures { runs[index].measurement.rounds[metric, default: []].append(value) }
        } catch {
          report("\(runs[index].measurement.system) gave up: \(error)")
          runs[index].run.kill()
        }
      }
    }
    for (_, _, measurement) in runs { results.add(measurement) }
    for configuration in configurations {
      let figures = runs.map(\.measurement).filter { $0.configuration == configuration }
        .map { "\($0.system) \(Tables.headline($0))" }
      report("\(work) \(configuration): \(figures.joined(separator: ", "))")
    }
    return left
  }

  /// Runs until all is warm; returns how many messages a round shall have to last as long as it should.
  private func warmUp(_ run: SystemRun, _ configuration: Configuration) throws -> Int {
    var count = configuration.size > 1 << 20 ? 4 : 64
    // What is slow once may be what is done once, as to touch fresh memory.
    var wasSlow = false
    for _ in 0..<16 {
      let start = ContinuousClock.now
      _ = try run.round(count)
      let elapsed = (ContinuousClock.now - start) / .seconds(1)
      if elapsed > seconds / 2 {
        if wasSlow { return max(count, 4) }
        wasSlow = true
        continue
      }
      wasSlow = false
      count = min(Int(Double(count) * min(max(seconds / max(elapsed, 1e-6), 1.5), 10)), 20_000_000)
    }
    return count
  }
}

/// The processes of one system at one work, from their start to their end.
final class SystemRun {
  private let work: Work
  private let configuration: Configuration
  private let place: String
  private var server: PeerProcess?
  /// Receivers, told first; then those who send.
  private var receivers: [PeerProcess] = []
  private var senders: [PeerProcess] = []

  init(_ system: System, _ work: Work, _ configuration: Configuration) throws {
    self.work = work
    self.configuration = configuration
    place = "\(NSTemporaryDirectory())/poolbus-bench-\(UUID().uuidString.prefix(8))".replacing("//", with: "/")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    do {
      func start(_ role: String, index: Int = 0) throws -> PeerProcess {
        let process = try PeerProcess(system, role, configuration, index: index, place: place)
        do {
          try process.expect("ready")
          return process
        } catch {
          process.kill()
          throw error
        }
      }
      if system.server { server = try start("server") }
      if work.isRoundTrip {
        receivers = [try start("pong")]
        senders = [try start("ping")]
      } else {
        for index in 0..<configuration.subscribers { receivers.append(try start("sink", index: index)) }
        for index in 0..<configuration.publishers { senders.append(try start("source", index: index)) }
      }
    } catch {
      end()
      throw error
    }
  }

  /// A round of so many messages.
  func round(_ count: Int) throws -> [Metric: Double] {
    let serverBefore = server?.cpu ?? 0
    for receiver in receivers {
      try receiver.tell("run \(count)")
      try receiver.expect("armed")
    }
    for sender in senders { try sender.tell("run \(count)") }
    let sent = try senders.map { try $0.expect("done") }
    let received = try receivers.map { try $0.expect("done") }
    let serverCPU = (server?.cpu ?? 0) - serverBefore
    return work.isRoundTrip
      ? try latency(count, sent: sent[0], received: received[0], serverCPU: serverCPU)
      : try throughput(count, sent: sent, received: received, serverCPU: serverCPU)
  }

  private func latency(
    _ count: Int, sent ping: [String: String], received pong: [String: String], serverCPU: Double
  ) throws -> [Metric: Double] {
    guard let file = ping["file"] else { throw Failure("ping names no file") }
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    var histogram = Histogram<UInt64>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    data.withUnsafeBytes { bytes in
      for offset in stride(from: 0, to: bytes.count, by: 8) {
        histogram.record(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      }
    }
    return [
      .p50: Double(histogram.valueAtPercentile(50)), .p99: Double(histogram.valueAtPercentile(99)),
      .p999: Double(histogram.valueAtPercentile(99.9)),
    ].merging(cpu(of: [ping, pong], serverCPU: serverCPU, delivered: 2 * Double(count))) { first, _ in first }
  }

  /// What a delivered message, and a byte of it, cost all processes together.
  private func cpu(of lines: [[String: String]], serverCPU: Double, delivered: Double) -> [Metric: Double] {
    let cpu = lines.compactMap { $0["cpu"].flatMap(Double.init) }.reduce(serverCPU, +)
    return [.cpuPerMessage: cpu / delivered, .cpuPerByte: cpu / (delivered * Double(configuration.size))]
  }

  private func throughput(
    _ count: Int, sent: [[String: String]], received: [[String: String]], serverCPU: Double
  ) throws -> [Metric: Double] {
    func values(_ key: String, _ lines: [[String: String]]) -> [Double] {
      lines.compactMap { $0[key].flatMap(Double.init) }
    }
    guard let start = values("start", sent).min(), let end = values("end", received).max(), end > start else {
      throw Failure("no start or no end")
    }
    let lost = values("lost", received).reduce(0, +)
    if lost > 0 { throw Failure("\(Int(lost)) messages were lost") }
    let elapsed = (end - start) / 1e9
    let messages = Double(count * configuration.publishers)
    let delivered = messages * Double(configuration.subscribers)
    return [
      .messagesPerSecond: messages / elapsed,
      .bytesPerSecond: delivered * Double(configuration.size) / elapsed,
      .serverCPU: serverCPU / 1e9 / elapsed, .serverMemory: server?.ownMemory ?? 0,
    ].merging(cpu(of: sent + received, serverCPU: serverCPU, delivered: delivered)) { first, _ in first }
  }

  /// Ends a system that does not do as it should; it has no further rounds.
  private(set) var hasFailed = false
  func kill() {
    hasFailed = true
    for process in senders + receivers { process.kill() }
    server?.end(isServer: true)
  }

  func end() {
    guard !hasFailed else { return }
    for process in senders + receivers { process.end() }
    server?.end(isServer: true)
    try? FileManager.default.removeItem(atPath: place)
  }
}
