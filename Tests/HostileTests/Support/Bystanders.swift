import Foundation
import Logging
import PoolBus
import PoolNode
import Synchronization
import TestProcesses
import Testing

/// A node on a socket of its own, and a well-behaved pair at work there: its stream must stay complete, in order and
/// intact, whatever others do.
final class Bystanders: Sendable {
  let socket: String
  let contribution: UInt64
  private let directory: String
  private let stopNode: @Sendable () async throws -> Void
  private let inspector: Bus
  private let publisherBus: Bus
  private let subscriberBus: Bus
  private let publisher: Publisher
  private let subscriber: Subscriber
  private let state = Mutex(State())
  private let pair = Mutex<[Task<Void, Never>]>([])

  private struct State {
    var received: UInt64 = 0
    var isStopping = false
    var complaints: [String] = []
    /// Of streams that are not the pair's own.
    var strange = 0
  }

  static let topic = "bystander/stream"

  /// Runs a test beside the pair; afterwards the pair must be unharmed, and the pool hold nothing but what is theirs.
  ///
  /// - Parameter pattern: what the pair's subscriber listens to.
  static func with(
    contribution: UInt64 = 32 << 20, pattern: String = topic, _ configure: (inout NodeConfiguration) -> Void = { _ in },
    _ test: (Bystanders) async throws -> Void
  ) async throws {
    let directory = newDirectory()
    var configuration = NodeConfiguration(socketPath: socket(in: directory), contribution: contribution)
    configure(&configuration)
    let node = try Node.start(configuration, logger: Logger(label: "node") { _ in SwiftLogNoOpLogHandler() })
    let bystanders = try await Bystanders(in: directory, contribution: contribution, pattern: pattern) {
      node.stop()
      await node.waitUntilStopped()
    }
    try await bystanders.run(test)
  }

  /// The same, with the node in a process of its own: its memory and descriptors are of no other test that runs meanwhile.
  static func withNodeApart(_ test: (Bystanders, PeerProcess) async throws -> Void) async throws {
    let (directory, contribution) = (newDirectory(), 32 << 20)
    let node = try PeerProcess([
      Executable.peer, "node", "--contribution", "\(contribution)", "--socket", socket(in: directory),
    ])
    try await node.line("serving")
    let bystanders = try await Bystanders(in: directory, contribution: UInt64(contribution), pattern: topic) {
      let exit = try await node.end()
      #expect(exit == .code(0))
    }
    try await bystanders.run { try await test($0, node) }
  }

  private static func newDirectory() -> String {
    FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
  }

  private static func socket(in directory: String) -> String { "\(directory)/node.sock" }

  private func run(_ test: (Bystanders) async throws -> Void) async throws {
    do {
      try await test(self)
    } catch {
      await end()
      throw error
    }
    try await areUnharmed()
    try await othersHoldNothing()
    await end()
    #expect(complaints == [])
  }

  private init(
    in directory: String, contribution: UInt64, pattern: String, stopNode: @escaping @Sendable () async throws -> Void
  ) async throws {
    self.directory = directory
    self.contribution = contribution
    self.stopNode = stopNode
    let socket = Self.socket(in: directory)
    self.socket = socket
    func join(_ name: String) async throws -> Bus {
      try await Bus.connect(BusConfiguration(socketPath: socket, name: name, embeddedNode: nil))
    }
    inspector = try await join("inspector")
    publisherBus = try await join("bystander publisher")
    subscriberBus = try await join("bystander subscriber")
    publisher = try await publisherBus.publisher(for: Self.topic)
    subscriber = try await subscriberBus.subscriber(to: pattern)
    start()
  }

  // MARK: - The pair

  private func start() {
    let publishing = Task { await publish() }
    let receiving = Task { await receive() }
    pair.withLock { $0 = [publishing, receiving] }
  }

  /// Publishes on, a little ahead of what is received.
  private func publish() async {
    var sequence: UInt64 = 0
    var isPaced = false
    do {
      while !state.withLock({ $0.isStopping }) {
        // At a walking pace: the machine is there for the others.
        guard sequence < state.withLock({ $0.received }) + 8, !sequence.isMultiple(of: 4) || isPaced else {
          isPaced = true
          try await Task.sleep(for: .milliseconds(1))
          continue
        }
        isPaced = false
        sequence += 1
        var loan = try await publisher.loan(byteCount: Self.byteCount(of: sequence))
        for offset in stride(from: 0, to: loan.mutableBytes.byteCount, by: Self.step) {
          loan.mutableBytes.storeBytes(of: sequence &* 31 &+ UInt64(offset), toByteOffset: offset, as: UInt64.self)
        }
        try loan.publish()
      }
    } catch {
      complain("the publisher: \(error)")
    }
  }

  /// One word in so many bytes is written and checked.
  private static let step = 64

  private static func byteCount(of sequence: UInt64) -> Int { [8, 64, 1024, 16 << 10, 64 << 10][Int(sequence % 5)] }

  private func receive() async {
    while true {
      do {
        guard let sample = try await subscriber.next() else { return }
        guard sample.stream == publisher.stream else {
          // What is looked up in the segment may be nonsense by now, but no more than that.
          _ = try? sample.attributes()
          _ = try? sample.elements(as: UInt64.self).count
          _ = sample.publishTime
          state.withLock { $0.strange += 1 }
          continue
        }
        let expected = state.withLock { $0.received } + 1
        if sample.sequence != expected { complain("\(sample.sequence) came where \(expected) was due") }
        let bytes = sample.bytes
        if bytes.byteCount != Self.byteCount(of: expected) { complain("\(expected) has \(bytes.byteCount) bytes") }
        for offset in stride(from: 0, to: bytes.byteCount, by: Self.step) {
          // SAFETY: eight bytes at each of these offsets lie within the payload, and make a number.
          let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
          if word != expected &* 31 &+ UInt64(offset) {
            complain("\(expected) is damaged at \(offset)")
            break
          }
        }
        state.withLock { $0.received = expected }
      } catch BusError.corruptSegment(let what) {
        if what.contains(Self.topic), !what.contains("liar") { complain("corrupt: \(what)") }
        state.withLock { $0.strange += 1 }
      } catch BusError.lagged(let lag) where lag.stream != publisher.stream {
        state.withLock { $0.strange += 1 }
      } catch {
        return complain("the subscriber: \(error)")
      }
    }
  }

  private func complain(_ what: String) { state.withLock { $0.complaints.append(what) } }

  /// Messages or errors of others that the pair's subscriber has met.
  var strange: Int { state.withLock { $0.strange } }
  var complaints: [String] { state.withLock { $0.complaints } }
  var stream: StreamID { publisher.stream }

  /// Sees messages go from one to the other, from now on.
  func areUnharmed(_ location: SourceLocation = #_sourceLocation) async throws {
    let goal = state.withLock { $0.received } + 100
    try await eventually("messages flow", location) {
      if let complaint = state.withLock({ $0.complaints.first }) { throw Unexpected(complaint) }
      return state.withLock { $0.received } >= goal
    }
  }

  // MARK: - The books

  /// The books now; they must sum to the contribution.
  func books(_ location: SourceLocation = #_sourceLocation) async throws -> PoolSnapshot {
    let books = try await inspector.inspect()
    let pool = books.pool
    let sum = pool.free + pool.leased + pool.sealed + pool.retained + pool.warm + pool.pinned
    #expect(sum == contribution, "\(pool)", sourceLocation: location)
    return books
  }

  func books(
    _ what: Comment, _ location: SourceLocation = #_sourceLocation, until isExpected: (PoolSnapshot) -> Bool
  ) async throws {
    try await eventually(what, location) { isExpected(try await books(location)) }
  }

  /// Nothing in the books is anybody's but the pair's.
  func othersHoldNothing(_ location: SourceLocation = #_sourceLocation) async throws {
    var last: PoolSnapshot?
    do {
      try await books("nobody else is in the books", location) { books in
        last = books
        return books.clients.count == 3 && books.segments.allSatisfy { $0.stream == self.stream }
          && books.streams.count == 1 && books.subscriptions.count == 1
      }
    } catch {
      let others = last?.segments.filter { $0.stream != self.stream } ?? []
      let holders = last?.holders.filter { holder in others.contains { $0.segment == holder.segment } } ?? []
      throw Unexpected("\(error): \(last?.clients.map(\.name) ?? []) \(others) \(holders)")
    }
  }

  private func end() async {
    state.withLock { $0.isStopping = true }
    let tasks = pair.withLock { $0 }
    await tasks.first?.value
    await publisherBus.close()
    await subscriberBus.close()
    await tasks.last?.value
    await inspector.close()
    await #expect(throws: Never.self) { try await stopNode() }
    let left = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    #expect(left == [])
    try? FileManager.default.removeItem(atPath: directory)
  }
}
