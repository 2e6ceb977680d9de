import ArgumentParser
import Foundation

/// Measures PoolBus against other systems and against plain shared memory, in one run, turn by turn.
@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures PoolBus against other systems and against plain shared memory, in one run, turn by turn.",
    discussion: """
      Every system does the same work between separate processes: payloads written whole by the publisher and read \
      whole by the subscriber, and again untouched. Its rounds alternate with the others' (A B A B), so that a machine \
      that is slower for a while is so for all. Systems that are not installed are skipped by name.
      """)

  @Option(parsing: .upToNextOption, help: "Measure these systems only, as in poolbus floor.")
  var systems: [String] = []
  @Option(
    parsing: .upToNextOption, help: "Do this work only: \(Work.allCases.map(\.rawValue).joined(separator: ", ")).")
  var work: [Work] = []
  @Option(parsing: .upToNextOption, help: "Payload sizes in bytes, instead of all.")
  var sizes: [Int] = []
  @Option(help: "Measured rounds, after one that warms up.") var rounds = 5
  @Option(help: "Seconds that a round shall last.") var seconds = 0.3
  @Option(help: "Folder of the peers, of systems.json and of the results.") var folder = "."
  @Option(help: "Folder of the programs.") var programs = "."
  @Flag(help: "Measure nothing: take the results of the last run.") var last = false
  @Flag(help: "Draw the pictures, too.") var plot = false
  @Flag(help: "Say for each bar whether it is met; exit with 1 if one is missed.") var check = false

  func run() async throws {
    let file = URL(fileURLWithPath: "\(folder)/Results/results.json")
    var results: Results
    if last {
      results = try Results(from: file)
    } else {
      results = Results(machine: .this())
      let runner = Runner(
        systems: try System.installed(folder: folder, programs: programs, only: systems), rounds: rounds,
        seconds: seconds, sizes: sizes)
      for work in work.isEmpty ? Work.allCases : work { try runner.run(work, into: &results) }
      if work.isEmpty { try results.write(to: file) }
    }
    print(Tables(results).text)
    if plot {
      try Plot.latency(results).write(toFile: "\(folder)/Results/latency.svg", atomically: true, encoding: .utf8)
      try Plot.throughput(results).write(toFile: "\(folder)/Results/throughput.svg", atomically: true, encoding: .utf8)
    }
    if check {
      let bars = Bar.all.map { $0.judged(by: results) }
      print(Bar.table(bars))
      if bars.contains(where: { !$0.isMet }) { throw ExitCode(1) }
    }
  }
}

/// The kinds of work that are measured.
enum Work: String, CaseIterable, Codable, ExpressibleByArgument {
  case latency, throughput
  /// Latency of a message that comes alone, to a reader that sleeps.
  case wake
  /// One publisher to 8 subscribers at 1 MiB; 8 publishers to one subscriber at 4 KiB.
  case fans
  /// What more topics, subscribers, bytes and pool cost.
  case growth

  /// Whether a ping and a pong do it.
  var isRoundTrip: Bool { self == .latency || self == .wake }
}
