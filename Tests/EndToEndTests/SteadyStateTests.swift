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

    @Test("Publishing to a reader that is awake makes no system call per message")
    func systemCallsWhileAwake() async throws {
      let (small, large) = (
        try await calls(Self.few, waiting: "spin"), try await calls(Self.few + Self.more, waiting: "spin")
      )
      let growth = large.values.reduce(0, +) - small.values.reduce(0, +)
      #expect(growth < Self.allowed, "\(small) for \(Self.few) messages, \(large) for \(Self.more) more")
    }

    @Test(
      "Publishing to a reader that sleeps makes no system call per message beyond ZeroMQ's or the bell's, none to the node"
    )
    func systemCallsWhileAsleep() async throws {
      let (small, large) = (
        try await calls(Self.few, waiting: "block"), try await calls(Self.few + Self.more, waiting: "block")
      )
      // The node is spoken to with sendmsg, by nobody else.
      let growth = large["sendmsg", default: 0] - small["sendmsg", default: 0]
      #expect(growth < Self.allowed, "\(small) for \(Self.few) messages, \(large) for \(Self.more) more")
      // And sendto, of who rings a bell.
      let zeroMQ: Set<String> = [
        "getpid", "sendto", "recvfrom", "epoll_wait", "epoll_ctl", "poll", "read", "write", "futex",
      ]
      for (name, count) in large where !zeroMQ.contains(name) {
        #expect(count - small[name, default: 0] < Self.allowed, "\(name)")
      }
    }

    /// The system calls of a publisher from its start to its end, by name.
    private func calls(_ messages: Int, waiting: String) async throws -> [String: Int] {
      var calls: [String: Int] = [:]
      try await Workplace.with(contribution: 256 << 20) { place in
        let subscriber = try await place.subscriber("a --waiting \(waiting)")
        subscriber.tell("take \(messages)")
        let report = "\(place.directory)-strace"
        defer { File.remove(report) }
        let publisher = try place.peer("publish a", under: "strace -f -qq -c -o \(report)")
        try await publisher.line("publishing")
        try await publisher.ask("publish \(messages)", "published \(messages)")
        try await subscriber.line("took \(messages) 0")
        #expect(try await publisher.end() == .code(0))
        // % time, seconds, µs/call, calls, errors if any, name.
        for line in try File.text(report).split(separator: "\n") {
          let words = line.split(separator: " ")
          guard words.count >= 5, let count = Int(words[3]), words.last != "total" else { continue }
          calls[String(words[words.count - 1])] = count
        }
      }
      #expect(calls["sendmsg", default: 0] > 0, "strace says nothing: \(calls)")
      return calls
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
