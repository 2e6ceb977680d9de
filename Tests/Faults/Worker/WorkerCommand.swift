import ArgumentParser
import Foundation
import Glibc
import Platform
import PoolBus
import Synchronization
import TestSupport

/// A process of an episode: publishes and subscribes as the episode's plan says, and writes down what comes of it.
///
/// Its standard input says what else it shall do, a line each: `hurry` ends its rests, `stop` its publishing, `close N`
/// closes so many of its descriptors, the input's end lets it close all in good order.
struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "A process of an episode; the harness starts it.", shouldDisplay: false)

  @Option var seed: UInt64
  @Option var number: Int
  @Option var socket: String
  @Option var records: String
  @Flag var nodeFaults = false

  func run() async throws {
    let episode = Planner.episode(seed: seed, includesNodeFaults: nodeFaults)
    guard let plan = episode[worker: number] else { throw ValidationError("the episode has no process \(number)") }
    try await startClocks()
    print("begins")
    fflush(nil)
    let orders = WorkerOrders(random: seed ^ UInt64(number))
    try orders.listen()
    let membership = Membership(socket: socket, name: "process \(number)")
    let (seed, number, records) = (seed, number, records)

    await withDiscardingTaskGroup { ends in
      for (index, plan) in plan.publishers.enumerated() {
        ends.addTask {
          let seed = seed &+ UInt64(number * 64 + index)
          await PublishingEnd(
            plan, worker: number, index: index, seed: seed, records: records, membership: membership, orders: orders
          ).run()
        }
      }
      for (index, plan) in plan.subscribers.enumerated() {
        ends.addTask {
          await ReceivingEnd(
            plan, worker: number, index: index, records: records, membership: membership, orders: orders
          ).run()
        }
      }
    }
    await membership.close()
  }

  /// Lets the runtime take a descriptor for each of its two clocks: a sleep that finds none later would last for ever.
  private func startClocks() async throws {
    // Not every first sleep takes its clock's: one that is over before the timer is set does without.
    func timers() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
        systemLink("/proc/self/fd/\(number)").contains("timerfd")
      }
    }
    for _ in 1...100 where try timers() < 2 {
      try await Task.sleep(for: .milliseconds(1), clock: .suspending)
      try await Task.sleep(for: .milliseconds(1), clock: .continuous)
    }
  }
}

/// What the driver wants of this process.
final class WorkerOrders: Sendable {
  private let state: Mutex<State>
  private let hurries = Atomic(false)

  private struct State {
    var random: SplitMix64
    var hasStopped = false
    var hasEnded = false
    var onStop: [Task<Void, Never>] = []
    var onEnd: [Task<Void, Never>] = []
    var ended: [CheckedContinuation<Void, Never>] = []
  }

  /// A process whose driver is gone ends by itself after so many seconds, whatever it waits for.
  private static let secondsToLeave: UInt32 = 30

  init(random: UInt64) { state = Mutex(State(random: SplitMix64(seed: random))) }

  func listen() throws {
    try startThread(named: "orders") { [self] in
      while let line = readLine() {
        let words = line.split(separator: " ")
        switch words.first {
        case "hurry": hurries.store(true, ordering: .relaxed)
        case "stop": stop()
        case "close": closeDescriptors(words.dropFirst().first.flatMap { Int($0) } ?? 1)
        default: break
        }
      }
      alarm(Self.secondsToLeave)
      end()
    }
  }

  /// Whether subscribers shall read as fast as they can.
  var isHurrying: Bool { hurries.load(ordering: .relaxed) }
  /// Whether publishing is over.
  var hasStopped: Bool { state.withLock { $0.hasStopped } }
  /// Whether everything shall be closed.
  var hasEnded: Bool { state.withLock { $0.hasEnded } }

  /// Makes a journal as soon as this process has a descriptor for it; nil if everything shall be closed before.
  func journal(_ path: String) async -> Journal? {
    while !hasEnded {
      if let journal = try? Journal(writing: path) { return journal }
      try? await Task.sleep(for: .milliseconds(5))
    }
    return nil
  }

  /// Runs something that is cancelled when publishing is over.
  func untilStopped(_ body: @escaping @Sendable () async -> Void) async {
    let task = Task { await body() }
    let isLate = state.withLock { state in
      state.onStop.append(task)
      return state.hasStopped
    }
    if isLate { task.cancel() }
    await task.value
  }

  /// Runs something that is cancelled when everything shall be closed.
  func untilEnded(on executor: (any TaskExecutor)?, _ body: @escaping @Sendable () async -> Void) async {
    let task = Task(executorPreference: executor) { await body() }
    let isLate = state.withLock { state in
      state.onEnd.append(task)
      return state.hasEnded
    }
    if isLate { task.cancel() }
    await task.value
  }

  func waitUntilEnded() async {
    await withCheckedContinuation { continuation in
      let isLate = state.withLock { state in
        if !state.hasEnded { state.ended.append(continuation) }
        return state.hasEnded
      }
      if isLate { continuation.resume() }
    }
  }

  private func stop() {
    let tasks = state.withLock { state in
      state.hasStopped = true
      return state.onStop
    }
    for task in tasks { task.cancel() }
  }

  private func end() {
    stop()
    let (tasks, ended) = state.withLock { state in
      state.hasEnded = true
      defer { state.ended = [] }
      return (state.onEnd, state.ended)
    }
    for task in tasks { task.cancel() }
    for continuation in ended { continuation.resume() }
  }

  /// Closes descriptors of this process, whoever needs them; the standard three stay.
  private func closeDescriptors(_ count: Int) {
    var open = (3..<1024).filter { fcntl(CInt($0), F_GETFD) >= 0 }
    state.withLock { state in
      for _ in 0..<count {
        guard let index = open.indices.randomElement(using: &state.random) else { return }
        _ = Glibc.close(CInt(open.remove(at: index)))
      }
    }
  }
}
