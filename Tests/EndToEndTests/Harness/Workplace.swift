import CPeer
import Glibc
import Platform
import PoolBus
import Synchronization
import TestProcesses
import Testing

/// A directory with a node's socket in it, the processes that work there, and an eye on the node's books.
///
/// ``with(contribution:quotas:node:_:)`` ends every test with the same question: is the pool empty, and nothing left?
final class Workplace: Sendable {
  let directory: String
  let contribution: UInt64
  var socket: String { "\(directory)/node.sock" }
  private let quotas: [String]
  /// What others have left, as a benchmark of ours whose system was killed.
  private let sharedMemoryBefore: Set<String>
  private let state = Mutex(State())

  private struct State {
    var node: PeerProcess?
    var inspector: Bus?
    var peers: [PeerProcess] = []
    var orphans: [pid_t] = []
  }

  /// Runs a test in a place of its own, with a node if `node` says so, and looks that nothing is left of it.
  static func with(
    contribution: UInt64, quotas: [String] = [], node: Bool = true,
    _ test: (Workplace) async throws -> Void
  ) async throws {
    let place = try Workplace(contribution: contribution, quotas: quotas)
    do {
      if node { try await place.startNode() }
      try await test(place)
      try await place.close()
    } catch {
      await place.recordBooks()
      place.abandon()
      throw error
    }
  }

  private init(contribution: UInt64, quotas: [String]) throws(Errno) {
    self.contribution = contribution
    self.quotas = quotas
    sharedMemoryBefore = try Self.sharedMemory()
    var template = Array("/tmp/poolbus-test-XXXXXX".utf8CString)
    // SAFETY: the template is changed in place, and copied before it goes.
    guard let path = unsafe mkdtemp(&template) else { throw Errno(rawValue: errno) }
    directory = unsafe String(cString: path)
    poolbus_peer_adopt_orphans()
  }

  // MARK: - Processes

  /// Starts a peer here: `publish TOPIC …`, `subscribe PATTERN …`.
  ///
  /// - Parameters:
  ///   - program: what to run it under, as in `strace -f`.
  ///   - errors: what becomes its standard error; nil for this process's own.
  func peer(_ command: String, under program: String = "", errors: CInt? = nil) throws -> PeerProcess {
    let words = program.split(separator: " ") + [Executable.peer[...]] + command.split(separator: " ")
    return try self.program(words.map(String.init) + ["--socket", socket], errors: errors)
  }

  /// Starts any program here; it must end with 0 when its standard input ends.
  func program(_ words: [String], errors: CInt? = nil) throws -> PeerProcess {
    let process = try PeerProcess(words, errors: errors)
    state.withLock { $0.peers.append(process) }
    return process
  }

  /// A publisher that has its stream: its topic, and options behind it.
  func publisher(_ topic: String) async throws -> PeerProcess {
    let peer = try peer("publish \(topic)")
    try await peer.line("publishing")
    return peer
  }

  /// A subscriber that is subscribed: its pattern, and options behind it.
  func subscriber(_ pattern: String) async throws -> PeerProcess {
    let peer = try peer("subscribe \(pattern)")
    try await peer.line("subscribed")
    return peer
  }

  /// Somebody publishes a new stream, and somebody else takes it; then a stopped subscriber goes on, and misses nothing of it.
  ///
  /// - Returns: who has joined for that.
  @discardableResult
  func deliverNewStream(toLate subscriber: PeerProcess) async throws -> [PeerProcess] {
    let other = try await self.subscriber("* --sizes 1000")
    let publisher = try await publisher("topic --sizes 1000")
    publisher.tell("publish 5000")
    try await other.ask("take 5000", "took 5000 0")
    subscriber.signal(SIGCONT)
    try await subscriber.ask("take 5000", "took 5000 0")
    return [publisher, other]
  }

  /// Starts a node, and lets the inspector join it.
  @discardableResult
  func startNode(errors: CInt? = nil) async throws -> PeerProcess {
    let node = try peer(
      "node --contribution \(contribution) \(quotas.map { "--quota \($0)" }.joined(separator: " "))", errors: errors)
    try await node.line("serving")
    state.withLock { state in
      state.node = node
      state.peers.removeAll { $0 === node }
    }
    try await joinInspector()
    return node
  }

  /// Starts `poolbusd` instead, and lets the inspector join it; who starts it ends it.
  func startDaemon() async throws -> PeerProcess {
    // Its log says when it serves. So it would to a service manager, for which it does more.
    let daemon = try program([
      "/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1",
      "\(Executable.folder)/poolbusd", "--socket", socket, "--contribution", "\(contribution)", "--log-level", "info",
    ])
    try await daemon.line(containing: "node serves")
    try await joinInspector()
    return daemon
  }

  var node: PeerProcess? { state.withLock { $0.node } }

  /// Looks after a process that a peer has left behind on purpose.
  func adopt(orphan: pid_t) { state.withLock { $0.orphans.append(orphan) } }

  /// Ends the orphans.
  func endOrphans() {
    let orphans = state.withLock { state in
      defer { state.orphans = [] }
      return state.orphans
    }
    for orphan in orphans {
      kill(orphan, SIGKILL)
      waitpid(orphan, nil, 0)
    }
  }

  // MARK: - The books

  /// Joins the node with the test's own process, which only looks at the books.
  func joinInspector() async throws {
    let bus = try await Bus.connect(
      BusConfiguration(socketPath: socket, name: "inspector", embeddedNode: nil))
    state.withLock { $0.inspector = bus }
  }

  func leaveInspector() async {
    let inspector = state.withLock { state in
      defer { state.inspector = nil }
      return state.inspector
    }
    await inspector?.close()
  }

  /// The books now; they must sum to the contribution.
  func books(_ location: SourceLocation = #_sourceLocation) async throws -> PoolSnapshot {
    guard let inspector = state.withLock({ $0.inspector }) else { throw BusError.nodeLost }
    let books = try await inspector.inspect()
    #expect(books.pool.sum == contribution, "\(books.pool)", sourceLocation: location)
    return books
  }

  /// Looks at the books until they are as expected: their changes are no events that one could wait for.
  @discardableResult
  func books(
    _ what: Comment, _ location: SourceLocation = #_sourceLocation, until isExpected: (PoolSnapshot) -> Bool
  ) async throws -> PoolSnapshot {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      let books = try await books(location)
      if isExpected(books) { return books }
      if ContinuousClock.now > deadline {
        Issue.record(
          "\(what) is still not so: \(books.pool) \(books.segments) \(books.holders)", sourceLocation: location)
        return books
      }
      try await Task.sleep(for: .milliseconds(2))
    }
  }

  /// Notes how things stood when the test failed.
  private func recordBooks() async {
    guard let inspector = state.withLock({ $0.inspector }) else { return }
    // Not in the test's own task, which its time limit may have cancelled.
    guard let books = try? await Task.detached(operation: { try await inspector.inspect() }).value else { return }
    Issue.record("the books: \(books.text)")
  }

  // MARK: - The end

  /// Ends all in good order: afterwards the pool must be empty and the place bare.
  private func close() async throws {
    for peer in state.withLock({ $0.peers }) where !peer.hasEnded {
      let exit = try await peer.end()
      #expect(exit == .code(0), "\(peer)")
    }
    if let node {
      try await books("the pool is empty") {
        $0.pool.free == contribution && $0.segments.isEmpty && $0.clients.count == 1
      }
      await leaveInspector()
      let exit = try await node.end()
      #expect(exit == .code(0))
    }
    endOrphans()
    #expect(try Self.files(in: directory) == [], "something is left in the directory of the node's socket")
    #expect(try Self.sharedMemory().subtracting(sharedMemoryBefore) == [])
    #expect(try Self.processes(naming: directory) == [])
    abandon()
  }

  /// Leaves nothing behind, whatever went wrong.
  private func abandon() {
    let processes = state.withLock { $0.peers + ($0.node.map { [$0] } ?? []) }
    for process in processes { process.signal(SIGKILL) }
    endOrphans()
    for file in (try? Self.files(in: directory)) ?? [] {
      // SAFETY: the kernel copies paths.
      unsafe unlink("\(directory)/\(file)")
    }
    unsafe rmdir(directory)
  }

  private static func files(in directory: String) throws(Errno) -> [String] {
    // SAFETY: the stream is open until closedir; an entry's name is copied before the next readdir overwrites it.
    guard let stream = unsafe opendir(directory) else { throw Errno(rawValue: errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  private static func sharedMemory() throws(Errno) -> Set<String> {
    Set(try files(in: "/dev/shm").filter { $0.contains("poolbus") })
  }

  /// The processes that name this place in their arguments, and their forked children, which have the same ones.
  private static func processes(naming directory: String) throws(Errno) -> [Int32] {
    try files(in: "/proc").compactMap { Int32($0) }.filter { processID in
      // One that has just ended has none.
      ((try? File.text("/proc/\(processID)/cmdline")) ?? "").contains(directory)
    }
  }
}

extension PoolSnapshot {
  /// For a person who asks why a test failed.
  fileprivate var text: String {
    let holders = Dictionary(grouping: holders, by: \.segment)
    let segments = segments.map { segment in
      let held = holders[segment.segment, default: []].map { holder in
        "\(holder.client.map { "\($0)" } ?? "awaited") \(holder.subscription.map { "\($0)" } ?? "publisher") \(holder.reason)"
      }
      return "\(segment.segment).\(segment.epoch) of \(segment.topic) \(segment.stream): \(segment.state), "
        + "\(segment.capacity) bytes, \(segment.messages) messages, held by \(held)"
    }
    let clients = clients.map { "\($0.client) is \($0.name), process \($0.processID)" }
    return (["\(pool)"] + clients + segments).joined(separator: "\n")
  }
}

extension PoolRow {
  /// Every byte is in exactly one state.
  var sum: UInt64 { free + leased + sealed + retained + warm + pinned }
}
