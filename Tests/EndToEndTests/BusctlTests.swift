import Foundation
import Glibc
import PoolBus
import TestProcesses
import Testing

extension EndToEnd {
  /// What `busctl` shows people and programs of a bus at work.
  @Suite struct BusctlShows {
    /// Runs `busctl` to its end.
    ///
    /// - Returns: what it printed; whatever it complains of is an issue.
    private func busctl(
      _ words: String, in place: Workplace, _ location: SourceLocation = #_sourceLocation
    ) async throws -> String {
      let output = "\(place.directory)-busctl"
      defer { File.remove(output) }
      let errors = try Log()
      let line = "exec \(Executable.folder)/busctl \(words) --socket \(place.socket) > \(output)"
      let process = try place.program(["/bin/sh", "-c", line], errors: errors.raw)
      #expect(try await process.exit() == .code(0), "\(words)", sourceLocation: location)
      let complaints = try errors.lines()
      #expect(complaints == [], "\(words)", sourceLocation: location)
      return try File.text(output)
    }

    private func decoded<Value: Decodable>(
      _ words: String, in place: Workplace, as type: Value.Type = Value.self
    ) async throws -> Value {
      try JSONDecoder().decode(type, from: Data(try await busctl("\(words) --json", in: place).utf8))
    }

    /// What `busctl why --json` prints, as far as it is looked at.
    private struct Reasons: Decodable {
      struct Holder: Decodable {
        var reason: HolderRow.Reason
        var name: String?
      }
      var segment: SegmentRow
      var publisher: ClientRow?
      var holders: [Holder]
    }

    @Test("busctl lists the bus as the books are, for people and as JSON")
    func lists() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let viewer = try await place.subscriber("camera/* --sizes 100000 --name viewer")
        let camera = try await place.publisher("camera/front --sizes 100000 --name camera --keep-messages 3")
        viewer.signal(SIGSTOP)
        try await camera.ask("publish 50", "published 50")
        let books = try await place.books("what is not read waits for the viewer") { books in
          books.pool.sealed > 0 && books.subscriptions.contains { $0.backlogMessages > 0 }
        }
        let stream = try #require(books.streams.first)
        let sealed = try #require(books.segments.first { $0.state == .sealed })

        let expectations: [(words: String, parts: [String])] = [
          ("status", ["STATE", "contribution  67108864 bytes", "huge pages", "sum"]),
          ("topics", ["TOPIC", "camera/front", "3 messages"]),
          ("publishers", ["STREAM", stream.stream.text, "camera/front", "\(camera.processID)"]),
          ("subscribers", ["BACKLOG", "camera/*", "viewer", "\(viewer.processID)"]),
          ("segments", ["HOLDERS", "\(sealed.segment.text).\(sealed.epoch)", "sealed"]),
          ("clients", ["PID", "viewer", "camera", "inspector", "busctl clients"]),
          ("users", ["UID", "\(getuid())"]),
          ("why \(sealed.segment.text)", ["state      sealed", "viewer", "it has not released it yet"]),
        ]
        for (words, parts) in expectations {
          let text = try await busctl(words, in: place)
          for part in parts { #expect(text.contains(part), "busctl \(words): \(text)") }
        }

        let pool: PoolRow = try await decoded("status", in: place)
        #expect(pool.contribution == place.contribution && pool.sealed > 0)
        let topics: [TopicRow] = try await decoded("topics", in: place)
        #expect(topics.map(\.topic.text) == ["camera/front"] && topics.map(\.retention.messages) == [3])
        let publishers: [StreamRow] = try await decoded("publishers", in: place)
        #expect(publishers.map(\.stream) == [stream.stream] && publishers.map(\.lastSequence) == [50])
        let subscribers: [SubscriptionRow] = try await decoded("subscribers", in: place)
        #expect(subscribers.map(\.pattern.text) == ["camera/*"] && subscribers.allSatisfy { $0.backlogMessages > 0 })
        let segments: [SegmentRow] = try await decoded("segments", in: place)
        #expect(segments.contains { $0.segment == sealed.segment && $0.state == .sealed && $0.messages > 0 })
        let clients: [ClientRow] = try await decoded("clients", in: place)
        #expect(Set(clients.map(\.name)) == ["viewer", "camera", "inspector", "busctl clients"])
        let users: [UserRow] = try await decoded("users", in: place)
        #expect(users.map(\.userID) == [getuid()] && users.map(\.subscriptions) == [1])
        let why: Reasons = try await decoded("why \(sealed.segment.rawValue).\(sealed.epoch)", in: place)
        #expect(why.segment.segment == sealed.segment && why.publisher?.name == "camera")
        #expect(why.holders.contains { $0.name == "viewer" && $0.reason == .promised })

        viewer.signal(SIGCONT)
        try await viewer.ask("take 50", "took 50 0")
        #expect(try await place.publisher("camera/front --keep-nothing").end() == .code(0))
      }
    }

    /// As far as it is looked at.
    private struct HandleLine: Decodable {
      var topic: String
      var stream: UInt64
      var sequence: UInt64
      var byteCount: UInt64
    }

    @Test("busctl monitor shows handles as they travel", arguments: [true, false])
    func monitors(asJSON: Bool) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("small --sizes 64")
        let stream = try #require(try await place.books().streams.first).stream
        let output = "\(place.directory)-monitor"
        defer { File.remove(output) }
        let monitor = try place.program([
          "/bin/sh", "-c",
          "exec \(Executable.folder)/busctl monitor 'small' --count 3 \(asJSON ? "--json" : "") --socket \(place.socket)"
            + " > \(output)",
        ])
        // When its socket is connected, nobody tells.
        while !monitor.hasEnded { try await publisher.ask("publish 1", "published") }
        #expect(try await monitor.exit() == .code(0))
        let lines = try File.text(output).split(separator: "\n")
        #expect(lines.count == 3)
        for line in lines {
          if asJSON {
            let handle = try JSONDecoder().decode(HandleLine.self, from: Data(line.utf8))
            #expect(handle.topic == "small" && handle.stream == stream.rawValue && handle.byteCount == 64)
            #expect(handle.sequence > 0)
          } else {
            #expect(line.contains("small  \(stream)  #") && line.hasSuffix("64 B"), "\(line)")
          }
        }
      }
    }

    @Test("busctl subscribe that has lost messages says which, and ends with 2")
    func lost() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("fast --sizes 10000")
        let errors = try Log()
        let busctl = try place.program(
          ["\(Executable.folder)/busctl", "subscribe", "fast", "--backlog-messages", "1", "--socket", place.socket],
          errors: errors.raw)
        try await place.books("it has subscribed") { !$0.subscriptions.isEmpty }
        busctl.signal(SIGSTOP)
        try await publisher.ask("publish 2000", "published 2000")
        try await place.books("it lags") { $0.subscriptions.contains { $0.laggedMessages > 0 } }
        busctl.signal(SIGCONT)
        try await busctl.line(containing: "#2000")
        busctl.signal(SIGINT)
        #expect(try await busctl.exit() == .code(2))
        let complaints = try errors.lines()
        #expect(!complaints.isEmpty && complaints.allSatisfy { $0.contains("lagged on fast") }, "\(complaints)")
      }
    }
  }
}
