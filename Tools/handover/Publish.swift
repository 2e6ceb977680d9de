import ArgumentParser
import Foundation
import PoolBus

extension Handover {
  /// Hands every regular file below a folder over, each as one message, read straight into the pool; tells how it went.
  struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Hands the files over, through the node at $POOLBUS_SOCKET, and reports.")

    @Option(help: "How many receive them.") var subscribers: Int
    @Argument var folder: String

    func run() async throws {
      let folder = try Folder(folder)
      guard !folder.files.isEmpty else { throw Failure("there is no regular file below \(folder.path)") }
      let bus = try await Bus.connect(BusConfiguration(name: "handover publish", embeddedNode: nil))
      let publisher = try await bus.publisher(for: Handover.files)
      let receipts = try await bus.subscriber(to: Handover.receipts)
      var rounds: [RoundResult] = []
      for round in Round.allCases { rounds.append(try await hand(folder, in: round, through: publisher, receipts)) }
      let handles = bus.sentHandles
      publisher.close()
      receipts.close()
      let pool = try await poolWhenAllHaveLeft(bus)
      await bus.close()

      let report = Report(folder: folder, rounds: rounds, handles: handles, pool: pool)
      print(report.text)
      try report.check()
      print("every payload was the file on disk, for each of \(subscribers) subscribers")
    }

    /// Hands all files over, and waits until every subscriber says that it has them.
    private func hand(
      _ folder: Folder, in round: Round, through publisher: Publisher, _ receipts: Subscriber
    ) async throws -> RoundResult {
      var result = RoundResult(round: round)
      let clock = ContinuousClock()
      let start = clock.now
      for path in folder.files {
        do {
          result.bytes += try await hand(path, in: folder, to: publisher)
          result.files += 1
        } catch let error as Unreadable {
          result.unreadable.append(error)
        }
      }
      try await publisher.loan(byteCount: 0, attributes: MessageAttributes(user: [Handover.end: ""])).publish()
      while result.receipts.count < subscribers, let sample = try await receipts.next() {
        // SAFETY: the bytes are copied while they are borrowed.
        let text = unsafe sample.bytes.withUnsafeBytes { unsafe Data($0) }
        result.receipts.append(try JSONDecoder().decode(Receipt.self, from: text))
      }
      result.seconds = (clock.now - start) / .seconds(1)
      return result
    }

    /// - Returns: the file's size.
    private func hand(_ path: String, in folder: Folder, to publisher: Publisher) async throws -> Int {
      let file = try InputFile(path, in: folder.path)
      let status = try file.status()
      let byteCount = Int(status.size)
      var loan = try await publisher.loan(
        byteCount: byteCount, attributes: MessageAttributes(user: [Handover.path: path]))
      try file.read(status, into: &loan.mutableBytes)
      try loan.publish()
      return byteCount
    }

    /// The node's books when the subscribers have left and the last memory has come back, or should have long ago.
    private func poolWhenAllHaveLeft(_ bus: Bus) async throws -> PoolRow {
      let deadline = ContinuousClock.now + .seconds(10)
      while true {
        let books = try await bus.inspect()
        let isEmpty = books.clients.count == 1 && books.pool.free == books.pool.contribution
        if isEmpty || ContinuousClock.now > deadline { return books.pool }
        try await Task.sleep(for: .milliseconds(10))
      }
    }
  }
}
