import Glibc
import Testing

extension EndToEnd {
  /// More messages than the pool holds, for somebody who does not read them.
  @Suite struct FullPool {
    private static let contribution: UInt64 = 64 << 20
    private static let size = 64 << 10
    /// Five pools full.
    private static let messages = 5 * Int(contribution) / size

    @Test("Stopped with SIGSTOP, a subscriber makes a waiting publisher wait; when it goes on, so does the publisher")
    func waitForTheStopped() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let subscriber = try await place.subscriber("slow --sizes \(Self.size)")
        let publisher = try await place.publisher("slow --sizes \(Self.size) --tell-waits")
        subscriber.tell("take \(Self.messages)")
        subscriber.signal(SIGSTOP)
        publisher.tell("publish \(Self.messages)")

        let full = try await place.books("a lease waits, with the pool full") { books in
          books.pool.waitingLeases == 1 && books.pool.free < Self.contribution / 4
        }
        let stuck = try #require(full.streams.first).lastSequence + 1
        // It waits shortly for other segments, too.
        while try await publisher.line("waits") != ["\(stuck)"] {}
        subscriber.signal(SIGCONT)
        while try await publisher.line("goes-on") != ["\(stuck)"] {}
        try await publisher.line("published \(Self.messages)")
        try await subscriber.line("took \(Self.messages) 0")
      }
    }

    @Test("With a backlog limit only the stopped subscriber lags, and it is told exactly how much")
    func backlogLimit() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let stopped = try await place.subscriber("slow --sizes \(Self.size) --backlog-messages 100")
        let other = try await place.subscriber("slow --sizes \(Self.size)")
        let publisher = try await place.publisher("slow --sizes \(Self.size)")
        stopped.signal(SIGSTOP)
        stopped.tell("take \(Self.messages)")
        other.tell("take \(Self.messages)")
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages)")
        try await other.line("took \(Self.messages) 0")
        stopped.signal(SIGCONT)

        let took = try await stopped.line("took").compactMap { Int($0) }
        #expect(took.reduce(0, +) == Self.messages)
        #expect(took.last ?? 0 > 0)
        // The node counts what it took; the subscriber may have read a little of that before it was told.
        let rows = try await place.books().subscriptions.sorted { $0.subscription < $1.subscription }
        #expect(rows.first.map { $0.laggedMessages >= UInt64(took.last ?? 0) } == true)
        #expect(rows.last?.laggedMessages == 0)
      }
    }

    @Test("While a stopped subscriber holds the pool, a publisher that does not wait fails, and is told who holds what")
    func fail() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let hoarder = try await place.subscriber("crowded --sizes \(Self.size) --name hoarder")
        let publisher = try await place.publisher("crowded --sizes \(Self.size) --policy fail --name producer")
        hoarder.tell("hold 100")
        try await publisher.ask("publish 100", "published 100")
        try await hoarder.line("took 100 0")
        hoarder.signal(SIGSTOP)
        let why = try await publisher.ask("publish \(Self.messages)", "failed").joined(separator: " ")
        hoarder.signal(SIGCONT)
        #expect(why.contains("exhausted"), "\(why)")
        #expect(why.contains("crowded"), "\(why)")
        #expect(why.contains("hoarder"), "\(why)")

        // When the memory is back, so is the publisher.
        let published = try #require(try await publisher.line("published").first.flatMap { Int($0) })
        try await hoarder.ask("release", "released")
        try await hoarder.ask("take \(published - 100)", "took \(published - 100) 0")
        try await publisher.ask("publish 10", "published \(published + 10)")
        try await hoarder.ask("take 10", "took 10 0")
      }
    }

    @Test("While a subscriber is stopped, a publisher that waits at most so long fails after that")
    func timeout() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let hoarder = try await place.subscriber("crowded --sizes \(Self.size) --name hoarder")
        let publisher = try await place.publisher("crowded --sizes \(Self.size) --timeout 50")
        hoarder.signal(SIGSTOP)
        let why = try await publisher.ask("publish \(Self.messages)", "failed").joined(separator: " ")
        #expect(why.contains("hoarder"), "\(why)")
        hoarder.signal(SIGCONT)
        let published = try #require(try await publisher.line("published").first.flatMap { Int($0) })
        try await hoarder.ask("take \(published)", "took \(published) 0")
      }
    }

    @Test("A publisher that evicts never waits; who was stopped meanwhile is told exactly what is lost")
    func evictOldest() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let subscriber = try await place.subscriber("fast --sizes \(Self.size)")
        let publisher = try await place.publisher("fast --sizes \(Self.size) --policy evict")
        subscriber.signal(SIGSTOP)
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages)")
        subscriber.signal(SIGCONT)
        let took = try await subscriber.ask("take \(Self.messages)", "took").compactMap { Int($0) }
        #expect(took.reduce(0, +) == Self.messages)
        #expect(took.last ?? 0 > 0)
      }
    }

    @Test("A held sample stays what it was, though its segment is evicted")
    func heldSample() async throws {
      try await Workplace.with(contribution: Self.contribution) { place in
        let holder = try await place.subscriber("fast --sizes \(Self.size)")
        let publisher = try await place.publisher("fast --sizes \(Self.size) --policy evict")
        try await publisher.ask("publish 10", "published 10")
        try await holder.ask("hold 10", "took 10 0")
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages + 10)")
        try await holder.ask("verify", "intact 10")
        let books = try await place.books("what is still mapped is pinned, and counted") { $0.pool.pinned > 0 }
        #expect(books.holders.contains { $0.subscription == books.subscriptions.first?.subscription })
        try await holder.ask("release", "released")
        let took = try await holder.ask("take \(Self.messages)", "took").compactMap { Int($0) }
        #expect(took.reduce(0, +) == Self.messages)
      }
    }
  }
}
