import Glibc
import Platform
import PoolBus
import TestProcesses

/// Where an episode is played: starts its processes, does to them what the plan says, lets all come to rest, and judges.
actor Stage {
  private let episode: Episode
  private let folder: Folder
  private let nodeFaults: Bool
  private let expectsRejoin: Bool
  private let isVerbose: Bool
  private let observer: Observer
  private var node: PeerProcess?
  private var inspector: Bus?
  private var workers: [Int: PeerProcess] = [:]
  private var killed: Set<Int> = []
  private var harm: [Evidence.Harm] = []
  private var outcome = Outcome()
  private var start = ContinuousClock.now
  private var isInjecting = true
  private var nodeDescriptors = 0

  /// Nothing that must come about may take longer, on however slow a machine.
  private static let patience = Duration.seconds(30)

  init(_ episode: Episode, in folder: Folder, nodeFaults: Bool, expectsRejoin: Bool, isVerbose: Bool) {
    self.episode = episode
    self.folder = folder
    self.nodeFaults = nodeFaults
    self.expectsRejoin = expectsRejoin
    self.isVerbose = isVerbose
    observer = Observer(folder, episode)
  }

  private var socket: String { "\(folder.path)/node.sock" }

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

  private func violate(_ rule: Violation.Rule, _ text: String) {
    outcome.violations.append(Violation(rule, text))
  }

  private func tellPlan() {
    say("  a pool of \(episode.contribution) bytes, quotas \(episode.quotas)")
    for worker in episode.workers {
      for plan in worker.publishers { say("  process \(worker.number) from \(worker.start): \(plan)") }
      for plan in worker.subscribers { say("  process \(worker.number) from \(worker.start): \(plan)") }
    }
  }

  private func note(_ text: String) {
    if isVerbose { say("  \(ContinuousClock.now - start)  \(text)") }
  }

  // MARK: - Processes

  private func startNode() async throws {
    try launchNode()
    try await joinInspector()
    nodeDescriptors = node?.descriptors.count ?? 0
  }

  private func launchNode() throws {
    let quotas = episode.quotas.flatMap { ["--quota", $0] }
    let log = try log(named: "node.log")
    node = try PeerProcess(
      ["\(Executable.folder)/poolbusd", "--socket", socket, "--contribution", "\(episode.contribution)"] + quotas,
      errors: log.raw)
  }

  private func joinInspector() async throws {
    try await wait("the node serves") { [socket] in
      // It can't start without descriptors: then a supervisor starts it again.
      if self.node?.hasEnded == true, self.wasNodeExhausted { try self.launchNode() }
      self.inspector = try? await Bus.connect(
        BusConfiguration(socketPath: socket, name: "inspector", embeddedNode: nil))
      return self.inspector == nil ? ["the inspector can't join"] : []
    }
  }

  private func startWorker(_ number: Int) {
    guard isInjecting, workers[number] == nil else { return }
    do {
      let log = try log(named: "process-\(number).log")
      let flags = nodeFaults ? ["--node-faults"] : []
      workers[number] = try PeerProcess(
        [
          Executable.path, "worker", "--seed", "\(episode.seed)", "--number", "\(number)", "--socket", socket,
          "--records", folder.path,
        ] + flags, errors: log.raw)
      outcome.processes += 1
      note("process \(number) starts")
    } catch {
      violate(.stuck, "process \(number) could not be started: \(error)")
    }
  }

  private func log(named name: String) throws -> OwnedDescriptor {
    // SAFETY: the kernel copies the path.
    let raw = unsafe open("\(folder.path)/\(name)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    return OwnedDescriptor(adopting: raw)
  }

  private var living: [Int: PeerProcess] { workers.filter { !killed.contains($0.key) } }

  /// Those of the living to whom nothing was done that they need not survive.
  private var sound: [Int: PeerProcess] { living.filter { !isRuined($0.key) } }

  private func isRuined(_ worker: Int) -> Bool {
    harm.contains { $0.target == .worker(worker) && $0.fault.isRuinous }
  }

  private var wasNodeExhausted: Bool {
    harm.contains { harm in
      if case .exhaustDescriptors = harm.fault { harm.target == .node } else { false }
    }
  }

  private func isExhausted(_ worker: Int) -> Bool {
    harm.contains { harm in
      if case .exhaustDescriptors = harm.fault { harm.target == .worker(worker) } else { false }
    }
  }

  // MARK: - Faults

  private func inject() async {
    for worker in episode.workers where worker.start == .microseconds(0) { startWorker(worker.number) }
    await withDiscardingTaskGroup { group in
      for worker in episode.workers where worker.start != .microseconds(0) {
        group.addTask {
          if await self.wait(for: worker.start) { await self.startWorker(worker.number) }
        }
      }
      for planned in episode.faults {
        group.addTask {
          if await self.wait(for: planned.moment) { await self.apply(planned) }
        }
      }
      group.addTask { await self.lookAtTheBooks() }
    }
    isInjecting = false
  }

  private var isOver: Bool { ContinuousClock.now - start > .microseconds(Planner.microseconds) }

  /// - Returns: false if the moment did not come while faults are injected.
  private func wait(for moment: Moment) async -> Bool {
    switch moment {
    case .microseconds(let time):
      try? await Task.sleep(until: start + .microseconds(time))
      return true
    case .records(let count, let worker):
      while !isOver {
        observer.update()
        if observer.count(of: worker) >= count { return true }
        try? await Task.sleep(for: .milliseconds(2))
      }
      return false
    }
  }

  private func lookAtTheBooks() async {
    while !isOver {
      if let books = try? await within(.seconds(5), { [inspector] in try await inspector?.inspect() }) ?? nil {
        for problem in inconsistencies(books) { violate(.books, problem) }
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  private func inconsistencies(_ books: PoolSnapshot) -> [String] {
    Books.inconsistencies(books, contribution: episode.contribution, mayBeBeyond: harm.contains(where: \.isRestart))
  }

  private func apply(_ planned: PlannedFault) async {
    let process: PeerProcess?
    switch planned.target {
    case .node: process = node
    case .worker(let number): process = living[number]
    }
    guard let process, !process.hasEnded else { return }
    harm.append(Evidence.Harm(target: planned.target, fault: planned.fault, time: Clock.monotonicNanoseconds))
    outcome.faults[planned.target == .node ? "node: \(planned.fault.name)" : planned.fault.name, default: 0] += 1
    note("\(planned.target): \(planned.fault)")

    switch planned.fault {
    case .kill:
      process.signal(SIGKILL)
      if case .worker(let number) = planned.target { killed.insert(number) }
    case .pause(let milliseconds):
      process.signal(SIGSTOP)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.signal(SIGCONT)
    case .exhaustDescriptors(let spare, let milliseconds):
      process.limitDescriptors(spare: spare)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.unlimitDescriptors()
    case .closeDescriptors(let count): process.tell("close \(count)")
    case .exhaustAddresses(let spare): process.limitAddresses(spare: spare)
    case .exhaustMemory(let largest, let milliseconds):
      process.limitFiles(to: largest)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.unlimitFiles()
    case .restart(let milliseconds): await restartNode(process, milliseconds)
    }
  }

  private func restartNode(_ process: PeerProcess, _ milliseconds: Int) async {
    process.signal(SIGKILL)
    // Another restart may be under way.
    node = nil
    _ = try? await process.exit()
    await inspector?.close()
    inspector = nil
    try? await Task.sleep(for: .milliseconds(milliseconds))
    do { try await startNode() } catch { violate(.stuck, "the node could not be restarted: \(error)") }
  }

  /// What was done only for a while is undone, also where the fault's own task was late; who can't be sound is gone.
  private func heal() async {
    let processes = living.values + (node.map { [$0] } ?? [])
    for process in processes {
      process.unlimitDescriptors()
      process.unlimitFiles()
      process.signal(SIGCONT)
    }
    for (number, process) in living where isRuined(number) {
      process.signal(SIGKILL)
      killed.insert(number)
    }
    // ZeroMQ ends a process that has no descriptor for a connection that comes in.
    for (number, process) in living where process.hasEnded && isExhausted(number) { killed.insert(number) }
    // What slow readers hold of the pool, others wait for.
    for process in living.values { process.tell("hurry") }
  }

  // MARK: - Rest

  private func rest() async throws {
    note("healed")
    observer.update()
    let before = Dictionary(
      observer.streams.map { ($0.author, $0.messages.count) }, uniquingKeysWith: { first, _ in first })
    try await wait("everybody goes on") {
      self.observer.update()
      return self.unborn()
        + self.observer.streams.compactMap { stream in
          guard self.sound[stream.author.worker] != nil, stream.failure == nil, !stream.isStopped else { return nil }
          return stream.messages.count > before[stream.author, default: 0]
            ? nil : "\(stream.name) has published nothing more since all is well again"
        }
    }
    note("everybody goes on")

    for process in living.values { process.tell("stop") }
    try await wait("publishing ends") {
      self.observer.update()
      return self.observer.streams.compactMap { stream in
        guard self.sound[stream.author.worker] != nil, stream.failure == nil, !stream.isStopped else { return nil }
        return "\(stream.name) does not stop"
      }
    }
    note("publishing has ended")
    try await wait("everybody has everything") {
      let evidence = self.observer.evidence(harm: self.harm, expectsRejoin: self.expectsRejoin)
      return Checker.missing(in: evidence, living: Set(self.sound.keys)).map(\.description)
    }
    note("everybody has everything")
    try await waitForBooks("nothing is held by the dead") { books in
      Books.leftovers(books, living: Set(self.living.values.map(\.processID) + [getpid()]))
    }
  }

  /// Who should have a journal for each of its ends by now, and has not.
  private func unborn() -> [String] {
    let (streams, subscriptions) = (observer.streams, observer.subscriptions)
    return sound.keys.sorted().flatMap { number -> [String] in
      guard let plan = episode[worker: number] else { return [] }
      let missingPublishers = plan.publishers.indices.filter { index in
        !streams.contains { stream in
          stream.author.worker == number && stream.author.publisher == index
            && (stream.stream != nil || stream.failure != nil)
        }
      }
      let missingSubscribers = plan.subscribers.indices.filter { index in
        !subscriptions.contains { subscription in
          subscription.worker == number && subscription.subscriber == index
            && (subscription.subscribed != nil || subscription.failure != nil)
        }
      }
      return missingPublishers.map { "publisher \($0) of process \(number) has not joined" }
        + missingSubscribers.map { "subscriber \($0) of process \(number) has not joined" }
    }
  }

  private func leave() async throws {
    for (number, process) in living.sorted(by: { $0.key < $1.key }) {
      switch try await within(Self.patience, { try await process.end() }) {
      case .code(0): break
      case let exit?: violate(.end, "process \(number) ended with \(exit)")
      case nil: violate(.stuck, "process \(number) does not end")
      }
    }
    try await forgetRetained()
    try await waitForBooks("all of the pool is free") { books in
      Books.remains(books, contribution: self.episode.contribution) + Books.leftovers(books, living: [getpid()])
    }
    try await wait("the node holds no descriptor more than when it started") {
      guard let node = self.node else { return [] }
      let descriptors = node.openFiles
      let segments = descriptors.count { $0.contains("poolbus") && $0.contains("memfd") }
      let mapped = node.mappedSegments
      if segments == 0, mapped == 0, descriptors.count <= self.nodeDescriptors { return [] }
      return [
        "the node has \(descriptors.count) descriptors, \(segments) of them memory, and \(mapped) segments mapped; "
          + "\(self.nodeDescriptors) descriptors when it started: \(descriptors)"
      ]
    }
    await inspector?.close()
    inspector = nil
    node?.signal(SIGTERM)
    if let node, try await within(Self.patience, { try await node.exit() }) != .code(0) {
      violate(.end, "the node did not end in good order")
    }
    let left = folder.files.filter { $0.hasPrefix("node.sock") }
    if !left.isEmpty { violate(.leftover, "something is left beside the node's socket: \(left)") }
    note("all have left")
  }

  /// What topics keep beyond their publishers is not held by anybody; a last publisher ends it.
  private func forgetRetained() async throws {
    guard let inspector, let books = try await within(Self.patience, { try await inspector.inspect() }) else { return }
    for topic in books.topics where !topic.retention.keepsNothing {
      try await inspector.publisher(for: topic.topic.text, options: PublisherOptions(retention: Retention.none)).close()
    }
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

  private func judge() {
    let evidence = observer.evidence(harm: harm, expectsRejoin: expectsRejoin)
    outcome.violations += Checker.violations(in: evidence)
    outcome.count(evidence)
    let log = folder.text(of: "node.log").split(separator: "\n")
    for line in log where line.contains(" critical ") || line.contains("Fatal error") {
      violate(.books, "the node says: \(line)")
    }
  }

  // MARK: - Waiting

  private func wait(_ what: String, until problems: () async throws -> [String]) async throws {
    let deadline = ContinuousClock.now + Self.patience
    while true {
      let left = try await problems()
      if left.isEmpty { return }
      if ContinuousClock.now > deadline {
        for problem in left.prefix(10) { violate(.stuck, "\(problem) (waiting until \(what))") }
        await keepBooks()
        throw Stuck(what: what)
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Keeps the node's books beside the records: who waits for what.
  private func keepBooks() async {
    guard let inspector, let books = try? await within(.seconds(5), { try await inspector.inspect() }) ?? nil else {
      return
    }
    folder.write(books, to: "books.json")
  }

  private func waitForBooks(_ what: String, until problems: (PoolSnapshot) -> [String]) async throws {
    try await wait(what) {
      guard let inspector = self.inspector,
        let books = try await within(Self.patience, { try await inspector.inspect() })
      else { return ["the node does not answer"] }
      return self.inconsistencies(books) + problems(books)
    }
  }
}

private struct Stuck: Error, CustomStringConvertible {
  let what: String
  var description: String { "it never came about that \(what)" }
}

/// What an action returns; nil if it takes longer than so long.
func within<Value: Sendable>(
  _ time: Duration, _ action: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await action() }
    group.addTask {
      try await Task.sleep(for: time)
      return nil
    }
    defer { group.cancelAll() }
    return try await group.next() ?? nil
  }
}

/// What was built beside this program.
enum Executable {
  static let path = systemLink("/proc/self/exe")
  static let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}
