import Testing

extension EndToEnd {
  @Suite struct LateJoiners {
    @Test("A topic keeps the last messages for late joiners")
    func retainedByCount() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("kept --sizes 1000 --keep-messages 10")
        try await publisher.ask("publish 1000", "published 1000")
        let stream = try await place.stream()
        let late = try await place.subscriber("kept --sizes 1000")
        late.tell("take 10")
        try await late.line("first \(stream) 991")
        try await late.line("took 10 0")
        try await publisher.ask("publish 5", "published 1005")
        try await late.ask("take 5", "took 5 0")
        try await place.keepNothing(on: "kept")
      }
    }

    @Test("Who wants only what is new gets none of it")
    func newOnly() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("kept --keep-messages 10")
        try await publisher.ask("publish 1000", "published 1000")
        let stream = try await place.stream()
        let late = try await place.subscriber("kept --new-only")
        try await publisher.ask("publish 5", "published 1005")
        late.tell("take 5")
        try await late.line("first \(stream) 1001")
        try await late.line("took 5 0")
        try await place.keepNothing(on: "kept")
      }
    }

    @Test("A topic keeps as many messages as lie in so many bytes")
    func retainedByBytes() async throws {
      let (size, bytes) = (64 << 10, 4 << 20)
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("kept --sizes \(size) --keep-bytes \(bytes)")
        try await publisher.ask("publish 1000", "published 1000")
        let stream = try await place.stream()
        let late = try await place.subscriber("kept --sizes \(size)")
        late.tell("take 1")
        let first = try #require(try await late.line("first \(stream)").first.flatMap { Int($0) })
        // What lies in the segment that is being written counts, too, and its size is the publisher's affair.
        #expect(first > 1 && first <= 1000)
        try await late.line("took 1 0")
        try await late.ask("take \(1000 - first)", "took \(1000 - first) 0")
        try await place.keepNothing(on: "kept")
      }
    }

    @Test("A topic keeps messages for a while, and no longer")
    func retainedByAge() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("kept --sizes 100000 --keep-milliseconds 5000")
        try await publisher.ask("publish 100", "published 100")
        let stream = try await place.stream()
        let soon = try await place.subscriber("kept --sizes 100000")
        soon.tell("take 100")
        try await soon.line("first \(stream) 1")
        try await soon.line("took 100 0")
        #expect(try await publisher.end() == .code(0))
        #expect(try await soon.end() == .code(0))
        try await place.books("nothing is kept any more") { $0.pool.free == $0.pool.contribution }
        let late = try await place.subscriber("kept --sizes 100000")
        #expect(try await place.books().streams == [])
        #expect(try await late.end() == .code(0))
      }
    }

    @Test("What a topic keeps outlives its publisher, killed or not", arguments: [true, false])
    func retainedAfterDeath(isKilled: Bool) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("kept --sizes 1000 --keep-messages 10")
        try await publisher.ask("publish 1000", "published 1000")
        let stream = try await place.stream()
        if isKilled { try await publisher.kill() } else { #expect(try await publisher.end() == .code(0)) }
        try await place.books("the publisher is gone") { $0.clients.count == 1 }
        let late = try await place.subscriber("kept --sizes 1000")
        late.tell("take 10")
        try await late.line("first \(stream) 991")
        try await late.line("took 10 0")
        try await place.keepNothing(on: "kept")
      }
    }

    @Test("Subscribers that join in the middle of a burst miss nothing from their join on")
    func midBurst() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let publisher = try await place.publisher("burst --sizes 8,200")
        publisher.tell("run")
        for _ in 1...20 {
          let subscriber = try place.peer("subscribe burst --sizes 8,200")
          let joined = try #require(try await subscriber.line("subscribed").first)
          subscriber.tell("take 5000")
          let first = try #require(try await subscriber.line("first").last.flatMap { UInt64($0) })
          try await subscriber.line("took 5000 0")
          // The publisher wrote down when it began to publish each message.
          let due = try #require(try await publisher.ask("after \(joined)", "after").first.flatMap { UInt64($0) })
          #expect(first <= due)
          publisher.tell("run")
          #expect(try await subscriber.end() == .code(0))
        }
      }
    }
  }
}

extension Workplace {
  /// The one stream that there is.
  fileprivate func stream() async throws -> UInt64 {
    let streams = try await books("there is one stream") { $0.streams.count == 1 }.streams
    return try #require(streams.first).stream.rawValue
  }

  /// Ends what a topic keeps, so that the pool can be empty.
  fileprivate func keepNothing(on topic: String) async throws {
    #expect(try await publisher("\(topic) --keep-nothing").end() == .code(0))
  }
}
