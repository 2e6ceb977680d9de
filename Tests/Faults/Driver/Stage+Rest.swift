import Glibc
import Platform
import PoolBus
import TestProcesses

// All come to rest, and leave; and what must come about until then is waited for.

extension Stage {
  func rest() async throws {
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
  func unborn() -> [String] {
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

  func leave() async throws {
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
  func forgetRetained() async throws {
    guard let inspector, let books = try await within(Self.patience, { try await inspector.inspect() }) else { return }
    for topic in books.topics where !topic.retention.keepsNothing {
      try await inspector.publisher(for: topic.topic.text, options: PublisherOptions(retention: Retention.none)).close()
    }
  }

  // MARK: - Waiting

  func wait(_ what: String, until problems: () async throws -> [String]) async throws {
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
  func keepBooks() async {
    guard let inspector, let books = try? await within(.seconds(5), { try await inspector.inspect() }) ?? nil else {
      return
    }
    folder.write(books, to: "books.json")
  }

  func waitForBooks(_ what: String, until problems: (PoolSnapshot) -> [String]) async throws {
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
