import Testing

extension EndToEnd {
  /// What a message costs once all is running: nothing that the kernel or the heap would notice.
  @Suite struct SteadyState {
    /// More messages by so many make at most one call, or one allocation, for each twenty of them: those are of the
    /// segments, which are small in a stream as slow as under strace, or in a debug build.
    private static let few = 50_000
    private static let more = 200_000
    private static let allowed = more / 20
    /// ZeroMQ's own allocations for a handle on its way, on either side.
    private static let perHandle = 2
    /// System calls of who rings a bell, or of ZeroMQ, for a handle.
    private static let callsPerHandle = 1

    @Test("Publishing to a reader that is awake makes no system call per message")
    func systemCallsWhileAwake() async throws {
      let further = try await furtherCalls(of: .publisher, readerWaiting: "spin")
      #expect(further.calls.values.reduce(0, +) < Self.allowed, "\(further)")
    }

    @Test("Reading without sleep makes no system call per message, but may leave the core to others")
    func systemCallsOfAReaderThatSpins() async throws {
      var further = try await furtherCalls(of: .subscriber, readerWaiting: "spin")
      further.calls["sched_yield"] = nil
      #expect(further.calls.values.reduce(0, +) < Self.allowed, "\(further)")
    }

    @Test(
      "Publishing to a reader that sleeps makes no system call per message beyond the bell's for each handle, none to the node"
    )
    func systemCallsWhileAsleep() async throws {
      let further = try await furtherCalls(of: .publisher, readerWaiting: "block")
      // The node is spoken to with sendmsg, by nobody else.
      #expect(further.calls["sendmsg", default: 0] < Self.allowed, "\(further)")
      let allowed = Self.allowed + Self.callsPerHandle * further.handles
      #expect(further.calls.values.reduce(0, +) < allowed, "\(further)")
    }

    private enum Side { case publisher, subscriber }

    /// System calls by name, and handles.
    private struct Costs {
      var calls: [String: Int]
      var handles: Int
    }

    /// What ``more`` messages cost one side.
    private func furtherCalls(of side: Side, readerWaiting waiting: String) async throws -> Costs {
      let few = try await calls(of: side, Self.few, waiting)
      var many = try await calls(of: side, Self.few + Self.more, waiting)
      many.calls.merge(few.calls) { $0 - $1 }
      many.handles -= few.handles
      return many
    }

    /// What one side does from its start to its end.
    private func calls(of side: Side, _ messages: Int, _ waiting: String) async throws -> Costs {
      var costs = Costs(calls: [:], handles: 0)
      try await Workplace.with(contribution: 256 << 20) { place in
        let report = "\(place.directory)-strace"
        defer { File.remove(report) }
        let strace = "strace -f -qq -c -o \(report)"
        let subscriber = try place.peer("subscribe a --waiting \(waiting)", under: side == .subscriber ? strace : "")
        try await subscriber.line("subscribed")
        subscriber.tell("take \(messages)")
        let publisher = try place.peer("publish a", under: side == .publisher ? strace : "")
        try await publisher.line("publishing")
        try await publisher.ask("publish \(messages)", "published \(messages)")
        try await subscriber.line("took \(messages) 0")
        costs.handles = try #require(Int(try await publisher.ask("sent", "sent")[0]))
        for peer in [publisher, subscriber] { #expect(try await peer.end() == .code(0)) }
        // % time, seconds, µs/call, calls, errors if any, name.
        for line in try File.text(report).split(separator: "\n") {
          let words = line.split(separator: " ")
          guard words.count >= 5, let count = Int(words[3]), words.last != "total" else { continue }
          costs.calls[String(words[words.count - 1])] = count
        }
      }
      #expect(costs.calls["sendmsg", default: 0] > 0, "strace says nothing: \(costs)")
      return costs
    }

    @Test(
      "Neither publishing nor receiving allocates per message, beyond ZeroMQ for a handle",
      arguments: ["block", "adaptive"])
    func allocations(waiting: String) async throws {
      try await Workplace.with(contribution: 256 << 20) { place in
        let subscriber = try await place.subscriber("a --waiting \(waiting)")
        let publisher = try await place.publisher("a")
        var before: (publisher: Int, subscriber: Int, handles: Int) = (0, 0, 0)
        for (round, messages) in [Self.few, Self.more].enumerated() {
          subscriber.tell("take \(messages)")
          publisher.tell("publish \(messages)")
          try await publisher.line("published")
          try await subscriber.line("took \(messages) 0")
          let published = try #require(Int(try await publisher.ask("allocations", "allocations")[0]))
          let received = try #require(Int(try await subscriber.ask("allocations", "allocations")[0]))
          let handles = try #require(Int(try await publisher.ask("sent", "sent")[0]))
          if round > 0 {
            // How often a reader falls asleep, and is rung, is the scheduler's to say.
            let allowed = Self.allowed + Self.perHandle * (handles - before.handles)
            #expect(published - before.publisher < allowed, "\(published - before.publisher) by the publisher")
            #expect(received - before.subscriber < allowed, "\(received - before.subscriber) by the subscriber")
          }
          before = (published, received, handles)
        }
      }
    }
  }
}
