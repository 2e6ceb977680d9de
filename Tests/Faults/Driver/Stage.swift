import Glibc
import Platform
import PoolBus
import TestProcesses

/// Where an episode is played: starts its processes, does to them what the plan says, lets all come to rest, and judges.
actor Stage {
  let episode: Episode
  let folder: Folder
  let nodeFaults: Bool
  let expectsRejoin: Bool
  let isVerbose: Bool
  let observer: Observer
  var node: PeerProcess?
  var inspector: Bus?
  var workers: [Int: PeerProcess] = [:]
  /// Each is over when the process has what its runtime needs, or has ended.
  var beginnings: [Int: Task<Void, Never>] = [:]
  var killed: Set<Int> = []
  var harm: [Evidence.Harm] = []
  var outcome = Outcome()
  var start = ContinuousClock.now
  var isInjecting = true
  var nodeDescriptors = 0

  /// Nothing that must come about may take longer, on however slow a machine.
  static let patience = Duration.seconds(30)

  init(_ episode: Episode, in folder: Folder, nodeFaults: Bool, expectsRejoin: Bool, isVerbose: Bool) {
    self.episode = episode
    self.folder = folder
    self.nodeFaults = nodeFaults
    self.expectsRejoin = expectsRejoin
    self.isVerbose = isVerbose
    observer = Observer(folder, episode)
  }

  var socket: String { "\(folder.path)/node.sock" }

  func play() async -> Outcome {
    if isVerbose { tellPlan() }
    do {
      try await startNode()
      start = .now
      await inject()
      await heal()
      try await rest()
      try await leave()
    } catch {
      violate(.stuck, "the episode could not go on: \(error)")
    }
    await abandon()
    judge()
    return outcome
  }

  func violate(_ rule: Violation.Rule, _ text: String) {
    outcome.violations.append(Violation(rule, text))
  }

  func tellPlan() {
    say("  a pool of \(episode.contribution) bytes, quotas \(episode.quotas)")
    for worker in episode.workers {
      for plan in worker.publishers { say("  process \(worker.number) from \(worker.start): \(plan)") }
      for plan in worker.subscribers { say("  process \(worker.number) from \(worker.start): \(plan)") }
    }
  }

  func note(_ text: String) {
    if isVerbose { say("  \(ContinuousClock.now - start)  \(text)") }
  }

  // MARK: - Processes

  func startNode() async throws {
    try launchNode()
    try await joinInspector()
    nodeDescriptors = node?.descriptors.count ?? 0
  }

  func launchNode() throws {
    let quotas = episode.quotas.flatMap { ["--quota", $0] }
    let log = try log(named: "node.log")
    node = try PeerProcess(
      ["\(Executable.folder)/poolbusd", "--socket", socket, "--contribution", "\(episode.contribution)"] + quotas,
      errors: log.raw)
  }

  func joinInspector() async throws {
    try await wait("the node serves") { [socket] in
      // It can't start without descriptors: then a supervisor starts it again.
      if self.node?.hasEnded == true, self.wasNodeExhausted { try self.launchNode() }
      self.inspector = try? await Bus.connect(
        BusConfiguration(socketPath: socket, name: "inspector", embeddedNode: nil))
      return self.inspector == nil ? ["the inspector can't join"] : []
    }
  }

  func startWorker(_ number: Int) {
    guard isInjecting, workers[number] == nil else { return }
    do {
      let log = try log(named: "process-\(number).log")
      let flags = nodeFaults ? ["--node-faults"] : []
      let worker = try PeerProcess(
        [
          Executable.path, "worker", "--seed", "\(episode.seed)", "--number", "\(number)", "--socket", socket,
          "--records", folder.path,
        ] + flags, errors: log.raw)
      workers[number] = worker
      beginnings[number] = Task { _ = try? await worker.line("begins") }
      outcome.processes += 1
      note("process \(number) starts")
    } catch {
      violate(.stuck, "process \(number) could not be started: \(error)")
    }
  }

  func log(named name: String) throws -> OwnedDescriptor {
    // SAFETY: the kernel copies the path.
    let raw = unsafe open("\(folder.path)/\(name)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    return OwnedDescriptor(adopting: raw)
  }

  var living: [Int: PeerProcess] { workers.filter { !killed.contains($0.key) } }

  /// Those of the living to whom nothing was done that they need not survive.
  var sound: [Int: PeerProcess] { living.filter { !isRuined($0.key) } }

  func isRuined(_ worker: Int) -> Bool {
    harm.contains { $0.target == .worker(worker) && $0.fault.isRuinous }
  }

  var wasNodeExhausted: Bool {
    harm.contains { harm in
      if case .exhaustDescriptors = harm.fault { harm.target == .node } else { false }
    }
  }

  /// When a process first had too few descriptors; nil if it always had enough.
  func exhaustion(of worker: Int) -> UInt64? {
    let times = harm.compactMap { harm -> UInt64? in
      if case .exhaustDescriptors = harm.fault, harm.target == .worker(worker) { harm.time } else { nil }
    }
    return times.min()
  }

  /// Ends what is left, whatever went wrong.
  func abandon() async {
    let left = workers.values + (node.map { [$0] } ?? [])
    for process in left { process.signal(SIGKILL) }
    for process in left where !process.hasEnded {
      _ = try? await within(Self.patience) { try await process.exit() }
    }
    await inspector?.close()
    inspector = nil
  }

  // MARK: - The verdict

  func judge() {
    let evidence = observer.evidence(harm: harm, expectsRejoin: expectsRejoin)
    outcome.violations += Checker.violations(in: evidence)
    outcome.count(evidence)
    let log = folder.text(of: "node.log").split(separator: "\n")
    for line in log where line.contains(" critical ") || line.contains("Fatal error") {
      violate(.books, "the node says: \(line)")
    }
  }
}
