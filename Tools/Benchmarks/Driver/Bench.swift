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
      whole by the subscriber, and again untouched. Its rounds alternate with the others' (A B B A), so that a machine \
      that is slower for a while is so for all. Systems that are not installed are skipped by name.
      """)

  @Option(parsing: .upToNextOption, help: "Measure these systems only, as in poolbus floor.")
  var systems: [String] = []
  @Option(
    parsing: .upToNextOption, help: "Do this work only: \(Work.allCases.map(\.rawValue).joined(separator: ", ")).")
  var work: [Work] = []
  @Option(parsing: .upToNextOption, help: "Payload sizes in bytes, instead of all.")
  var sizes: [Int] = []
  @Option(help: "Measured rounds, after those that warm up.") var rounds = defaultRounds
  @Option(help: "Seconds that a round shall last.") var seconds = defaultSeconds
  @Option(help: "Folder of the peers, of systems.json and of the results.") var folder = "."
  @Option(help: "Folder of the programs.") var programs = "."
  @Flag(help: "Measure nothing: take the results of the last run.") var last = false
  @Option(help: "The code that is measured, for the results.") var code = "unknown"
  @Flag(help: "Draw the pictures, and write the bars into the pages that show them: of a whole run, or of the last.")
  var plot = false
  @Flag(help: "Say for each bar whether it is met; exit with 1 if one is missed, or PoolBus fails.") var check = false

  // A shared host may be another from one second to the next: many short rounds put the two of a pair more often on the same
  // side of that.
  private static let defaultRounds = 27
  private static let defaultSeconds = 0.05

  /// All that there is, as long as it is to last: only such a run is kept, and drawn.
  private var isWhole: Bool {
    systems.isEmpty && work.isEmpty && sizes.isEmpty && rounds == Self.defaultRounds && seconds == Self.defaultSeconds
  }

  func validate() throws {
    if plot, !last, !isWhole {
      throw ValidationError(
        "--plot draws whole runs: without --systems, --work, --sizes, --rounds and --seconds, or --last --plot")
    }
  }

  func run() async throws {
    PeerProcess.outliveAll()
    let file = URL(fileURLWithPath: "\(folder)/Results/results.json")
    let results = last ? try Results(from: file) : try measured()
    if isWhole, !last { try results.write(to: file) }
    print(Tables(results).text)
    if plot {
      try Plot.write(results, to: file.deletingLastPathComponent())
      try Page.allCases.forEach { try $0.show(results, in: folder) }
    }
    if check { try check(results) }
  }

  private func measured() throws -> Results {
    let listed = try System.listed(in: folder, only: systems)
    var results = Results(run: Run(code: code, rounds: rounds, seconds: seconds), systems: listed)
    let runner = Runner(
      systems: listed.filter { $0.isInstalled(in: programs) }, programs: programs, rounds: rounds, seconds: seconds,
      plan: Plan(sizes: sizes))
    for work in work.isEmpty ? Work.allCases : work { runner.run(work, into: &results) }
    return results
  }

  private func check(_ results: Results) throws {
    let verdicts = Bar.all.map { $0.judged(by: results) }
    print("\n\(Verdict.table(verdicts))")
    let failures = results.failuresOfOurs
    if !failures.isEmpty { print("\n\(Tables.failures(failures, title: "FAILURE OF POOLBUS"))") }
    if !results.pass(verdicts) { throw ExitCode(1) }
  }
}
