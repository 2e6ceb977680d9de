import ArgumentParser
import Dispatch
import Foundation
import TestSupport

/// Runs episodes until the time is over.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs episodes until the time is over, or one has found a violation.",
    discussion: """
      Each episode starts a node, publishers and subscribers, all processes of their own, does to them what its seed \
      says, lets all come to rest, and judges what everybody has written down: order, exactly once or an explicit lag, \
      every byte intact, nothing held by the dead, all of the pool free in the end.

      The first episode's seed is --seed, each other's follows from the one before. So an episode is repeated by its own \
      seed: --seed SEED --episodes 1. What processes do in the same instant is still the kernel's choice.

      EXIT CODES
        0   nothing was violated
        1   something was; the records are kept, and the episode's folder is named
      """)

  @Option(help: "Begin no further episode after so many seconds.") var seconds = 60
  @Option(help: "The first episode's seed (default: a random one).") var seed: UInt64?
  @Option(help: "At most so many episodes.") var episodes = Int.max
  @Flag(help: "Kill and restart nodes, too: their clients may lose them, and must be served by the next one.")
  var nodeFaults = false
  @Flag(help: "With --node-faults: clients must live through it, and receive all, in order, once.") var expectRejoin =
    false
  @Option(help: "Where to keep the records of episodes (default: a new folder in /tmp).") var folder: String?
  @Flag(help: "Keep the records of all episodes.") var keep = false
  @Flag(help: "Say what is done when.") var verbose = false

  func run() async throws {
    // A node whose files may grow no more shall be told so, not killed; its processes inherit this.
    signal(SIGXFSZ, SIG_IGN)
    // Those who are killed by what they did to themselves shall be gone at once, not first be looked into.
    // SAFETY: nothing else reads or writes the environment yet.
    unsafe setenv("SWIFT_BACKTRACE", "enable=no", 0)
    if let folder = self.folder, FileManager.default.fileExists(atPath: folder) {
      throw ValidationError("\(folder) exists already: its records would be taken for this run's; name another folder")
    }
    let first = seed ?? .random(in: 0 ... .max)
    say("seed \(first)")
    let folder = try self.folder.map { try Folder(at: $0) } ?? Folder.temporary()
    var report = Report()
    var random = SplitMix64(seed: first)
    var seed = first
    let end = ContinuousClock.now + .seconds(seconds)
    while report.episodes < episodes, report.episodes == 0 || ContinuousClock.now < end {
      let place = try folder.folder(named: "episode-\(report.episodes + 1)")
      let episode = Planner.episode(seed: seed, includesNodeFaults: nodeFaults)
      let stage = Stage(
        episode, in: place, nodeFaults: nodeFaults, expectsRejoin: nodeFaults && expectRejoin, isVerbose: verbose)
      let interruption = Interruption { await stage.abandon() }
      let outcome = await stage.play()
      interruption.end()
      report.add(outcome)
      say("episode \(report.episodes)  seed \(seed)  \(outcome.summary)")
      if !outcome.violations.isEmpty {
        for violation in outcome.violations.prefix(20) { say("VIOLATION  \(violation)") }
        if outcome.violations.count > 20 { say("… and \(outcome.violations.count - 20) more") }
        say(
          "the records are in \(place.path); again: Tools/faults --seed \(seed) --episodes 1"
            + (nodeFaults ? " --node-faults" : "") + (expectRejoin ? " --expect-rejoin" : ""))
        break
      }
      if !keep { place.remove() }
      seed = random.next()
    }
    say(report.text(seed: first, mayLoseNodes: nodeFaults && !expectRejoin))
    guard report.violations == 0 else { throw ExitCode(1) }
    if !keep { folder.removeIfEmpty() }
  }
}

/// SIGINT, SIGTERM and SIGHUP end the harness, with all that it has started.
private struct Interruption {
  private let sources: [any DispatchSourceSignal]

  init(_ cleanUp: @escaping @Sendable () async -> Void) {
    sources = [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        Task {
          await cleanUp()
          exit(128 + number)
        }
      }
      source.resume()
      return source
    }
  }

  func end() {
    for source in sources { source.cancel() }
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
  }
}

func say(_ text: String) {
  print(text)
  fflush(nil)
}
