import ArgumentParser
import Foundation
import PoolBus
import TextTable
import ToolSupport

extension Handover {
  /// Starts a node, three subscribers and a publisher, and tells how it went.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Starts a node and four processes, hands the files over, and reports.")

    private static let subscriberCount = 3

    @Argument(help: "The folder whose files are handed over.")
    var folder: String

    func run() async throws {
      let workplace = FileManager.default.temporaryDirectory.appending(path: "poolbus-\(getpid())")
      let socket = workplace.appending(path: "node.sock").path
      defer { try? FileManager.default.removeItem(at: workplace) }
      let binaries = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

      let node = try Child(binaries.appending(path: "poolbusd"), ["--socket", socket], readsErrors: true)
      defer { node.stop() }
      guard node.awaitLine(containing: "node serves") else { throw Failure("the node did not start") }

      let handover = binaries.appending(path: "handover")
      let subscribers = try (0..<Self.subscriberCount).map { _ in
        try Child(handover, ["receive", "--socket", socket])
      }
      defer { for subscriber in subscribers { subscriber.stop() } }
      for subscriber in subscribers where !subscriber.awaitLine(containing: "ready") {
        throw Failure("a subscriber did not start")
      }

      let clock = ContinuousClock()
      let start = clock.now
      let publisher = try Child(handover, ["publish", "--socket", socket, folder])
      defer { publisher.stop() }
      let sent: PublishReport = try report(of: publisher)
      let received: [ReceiveReport] = try subscribers.map(report)
      let seconds = (clock.now - start) / .seconds(1)
      let pool = try await poolWhenAllHaveLeft(socket)

      show(sent, received, seconds: seconds, pool)
      try check(sent, received, pool)
    }

    private func report<Report: Decodable>(of child: Child) throws -> Report {
      guard let line = child.line(), let report = try? JSONDecoder().decode(Report.self, from: line),
        child.wait() == 0
      else { throw Failure("a process ended without a report") }
      return report
    }

    /// The node's books, after it has noticed that the four processes are gone.
    private func poolWhenAllHaveLeft(_ socket: String) async throws -> PoolRow {
      let bus = try await Bus.connect(BusConfiguration(socketPath: socket, name: "handover", embeddedNode: nil))
      while true {
        let snapshot = try await bus.inspect()
        if snapshot.clients.count == 1 { return snapshot.pool }
        await Task.yield()
      }
    }

    private func show(_ sent: PublishReport, _ received: [ReceiveReport], seconds: Double, _ pool: PoolRow) {
      let delivered = Double(received.reduce(0) { $0 + $1.bytes })
      func rate(_ bytes: Double, _ seconds: Double) -> String { String(format: "%.2f GB/s", bytes / seconds / 1e9) }
      let rows: [(String, String)] = [
        ("files", "\(sent.files)"),
        ("bytes", "\(sent.bytes)"),
        ("published, read from disk into the pool", rate(Double(sent.bytes), sent.seconds)),
        ("delivered to \(received.count), hashed, compared with disk", rate(delivered, seconds)),
        ("handles sent over ZeroMQ", "\(sent.handles)"),
        ("handle bytes sent", "\(sent.handleBytes)"),
        ("segments leased", "\(pool.segmentsLeased)"),
        ("segments recycled", "\(pool.segmentsRecycled)"),
        ("segments reclaimed", "\(pool.segmentsReclaimed)"),
        ("pool bytes still held", "\(pool.contribution - pool.free)"),
      ]
      let table = TextTable<(String, String)> {
        [Column(title: "handed over", value: $0.0), Column(title: "", value: $0.1, align: .right)]
      }
      Swift.print(table.string(for: rows, style: Style.plain) ?? "")
      for file in sent.unreadable { Swift.print("not readable, not handed over: \(file)") }
    }

    private func check(_ sent: PublishReport, _ received: [ReceiveReport], _ pool: PoolRow) throws {
      for subscriber in received {
        guard subscriber.expected == sent.files, subscriber.files == sent.files, subscriber.bytes == sent.bytes else {
          throw Failure("a subscriber got \(subscriber.files) files of \(sent.files)")
        }
        guard subscriber.differing.isEmpty else {
          throw Failure("differs from the file on disk: \(subscriber.differing.joined(separator: ", "))")
        }
      }
      guard sent.files > 0 else { throw Failure("there was no readable file below \(folder)") }
      guard pool.free == pool.contribution else { throw Failure("the pool is not empty") }
      Swift.print("every payload was the file on disk, for each of \(received.count) subscribers")
    }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }
}
