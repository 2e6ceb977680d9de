import Glibc
import PoolBus
import TestSupport
import TestProcesses
import Testing

extension EndToEnd {
  /// The node is killed, and another takes its socket: the same publishers and subscribers go on.
  @Suite struct Restarts {
    /// Kills the node; whoever waits for it waits.
    private func killNode(in place: Workplace) async throws {
      await place.leaveInspector()
      try await place.node?.kill()
    }

    @Test(
      "The node is killed, then stopped amid traffic: every message arrives once, in order, and nothing is held at the end"
    )
    func amidTraffic() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let (publishers, each) = (4, 15_000)
        let sizes = "--sizes 8,700,30000"
        var subscribers: [PeerProcess] = []
        for pattern in ["load/*", "load/*", "load/**", "load/0"] {
          subscribers.append(try await place.subscriber("\(pattern) \(sizes)"))
        }
        var senders: [PeerProcess] = []
        for number in 0..<publishers { senders.append(try await place.publisher("load/\(number) \(sizes)")) }
        for subscriber in subscribers.prefix(3) { subscriber.tell("take \(publishers * each)") }
        subscribers[3].tell("take \(each)")
        for sender in senders { sender.tell("publish \(each)") }
        for isKilled in [true, false] {
          try await place.books("traffic flows") { $0.pool.segmentsReclaimed > 10 }
          if isKilled {
            try await killNode(in: place)
          } else {
            await place.leaveInspector()
            #expect(try await place.node?.end() == .code(0))
          }
          try await senders[0].line("node-lost")
          try await place.startNode()
          for peer in senders + subscribers { try await peer.line("node-rejoined") }
        }
        for sender in senders { try await sender.line("published \(each)") }
        for subscriber in subscribers.prefix(3) { try await subscriber.line("took \(publishers * each) 0") }
        try await subscribers[3].line("took \(each) 0")
      }
    }

    @Test("Killed again and again at random moments, also while its clients return, the node loses and repeats nothing")
    func relentless() async throws {
      let seed = UInt64.random(in: 0 ... .max)
      var random = SplitMix64(seed: seed)
      do {
        try await Workplace.with(contribution: 64 << 20) { place in
          let (publishers, each) = (3, 10_000)
          let sizes = "--sizes 8,700,30000"
          var senders: [PeerProcess] = []
          for number in 0..<publishers { senders.append(try await place.publisher("load/\(number) \(sizes)")) }
          var subscribers: [PeerProcess] = []
          for waiting in ["block", "adaptive"] {
            subscribers.append(try await place.subscriber("load/* \(sizes) --waiting \(waiting)"))
          }
          for subscriber in subscribers { subscriber.tell("take \(publishers * each)") }
          for sender in senders { sender.tell("publish \(each)") }
          for _ in 0..<15 {
            // Not to wait for anything: to let the kill come at any instruction.
            try await Task.sleep(for: .microseconds(Int.random(in: 0...80_000, using: &random)))
            try await killNode(in: place)
            try await place.startNode()
          }
          for sender in senders { try await sender.line("published \(each)") }
          for subscriber in subscribers { try await subscriber.line("took \(publishers * each) 0") }
        }
      } catch {
        Issue.record("the seed was \(seed)")
        throw error
      }
    }

    @Test("Without a node, what fits is delivered; who needs more waits, or fails by policy; afterwards all go on")
    func gap() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("* --sizes 1000")
        let waiting = try await place.publisher("waiting --sizes 1000 --tell-waits")
        let limited = try await place.publisher("limited --sizes 1000 --timeout 50")
        let failing = try await place.publisher("failing --sizes 1000 --policy fail")
        for publisher in [waiting, limited, failing] { try await publisher.ask("publish 10", "published 10") }
        try await subscriber.ask("take 30", "took 30 0")
        try await killNode(in: place)
        for peer in [subscriber, waiting, limited, failing] { try await peer.line("node-lost") }

        // Mapped on both sides, it needs no node.
        try await waiting.ask("publish 10", "published 20")
        try await subscriber.ask("take 10", "took 10 0")

        for publisher in [limited, failing] {
          let failed = try await publisher.ask("publish 1000000", "failed")
          #expect(failed.joined(separator: " ").contains("the node is gone"))
        }
        let reached = try await [limited, failing].asyncMap {
          try #require(try await $0.line("published").first.flatMap { Int($0) })
        }
        waiting.tell("publish 1000")
        try await waiting.line("waits")
        try await place.startNode()
        try await waiting.line("goes-on")
        try await waiting.line("published 1020")
        for publisher in [limited, failing] { try await publisher.line("node-rejoined") }
        for (publisher, last) in zip([limited, failing], reached) {
          try await publisher.ask("publish 10", "published \(last + 10)")
        }
        try await subscriber.ask("take \(1000 + reached.reduce(0, +))", "took \(1000 + reached.reduce(0, +)) 0")
      }
    }

    @Test(
      "What was published before the crash, and not read, is delivered; who joins late misses nothing from there on")
    func unread() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 5000")
        let publisher = try await place.publisher("topic --sizes 5000")
        try await publisher.ask("publish 4000", "published 4000")
        try await killNode(in: place)
        try await place.startNode()
        for peer in [publisher, subscriber] { try await peer.line("node-rejoined") }
        let books = try await place.books("the new node knows who holds what") { books in
          books.clients.count == 3 && books.pool.sealed + books.pool.leased > 10 << 20
            && books.holders.contains { $0.subscription != nil }
        }
        #expect(books.streams.map(\.lastSequence) == [4000] && books.subscriptions.count == 1)
        let late = try await place.subscriber("topic --sizes 5000")
        try await publisher.ask("publish 100", "published 4100")
        late.tell("take 100")
        try await late.line("first \(try #require(books.streams.first).stream.rawValue) 4001")
        try await late.line("took 100 0")
        try await subscriber.ask("take 4100", "took 4100 0")
      }
    }

    @Test("Samples and loans outlive the node; the next one knows who holds them")
    func held() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 3000000")
        let publisher = try await place.publisher("topic --sizes 3000000")
        try await publisher.ask("publish 4", "published 4")
        try await subscriber.ask("hold 4", "took 4 0")
        try await publisher.ask("loan 3000000", "loaned")
        try await killNode(in: place)
        try await subscriber.ask("verify", "intact 4")
        try await place.startNode()
        for peer in [publisher, subscriber] { try await peer.line("node-rejoined") }
        try await place.books("the samples and the loan are held, and by whom") { books in
          func holds(_ peer: PeerProcess, _ reason: HolderRow.Reason) -> Bool {
            books.holders.contains { holder in
              holder.reason == reason
                && books.clients.contains { $0.client == holder.client && $0.processID == peer.processID }
            }
          }
          return books.pool.sealed + books.pool.leased >= 4 * 3_000_000 && holds(subscriber, .promised)
            && holds(publisher, .writes)
        }
        try await publisher.ask("redeem", "published 5")
        try await publisher.ask("publish 4", "published 9")
        try await subscriber.ask("take 5", "took 5 0")
        try await subscriber.ask("verify", "intact 4")
        try await subscriber.ask("release", "released")
        try await place.books("they are free") { $0.pool.sealed == 0 && $0.pool.pinned == 0 }
      }
    }

    @Test("Loans that outlive two nodes are delivered, also those that are published while there is none")
    func outliving() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 1000")
        let publisher = try await place.publisher("topic --sizes 1000")
        for _ in 1...3 { try await publisher.ask("loan 1000", "loaned") }
        for isLast in [false, true] {
          try await killNode(in: place)
          try await publisher.line("node-lost")
          if isLast { try await publisher.ask("redeem", "published 2") }
          try await place.startNode()
          for peer in [publisher, subscriber] { try await peer.line("node-rejoined") }
          if !isLast { try await publisher.ask("redeem", "published 1") }
        }
        try await publisher.ask("redeem", "published 3")
        try await publisher.ask("publish 100", "published 103")
        try await subscriber.ask("take 103", "took 103 0")
      }
    }

    @Test("Who dies while there is no node holds nothing of the next; the living go on", arguments: [true, false])
    func deathInTheGap(ofPublisher: Bool) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscribers = [try await place.subscriber("* --sizes 2000"), try await place.subscriber("* --sizes 2000")]
        let publishers = [try await place.publisher("a --sizes 2000"), try await place.publisher("b --sizes 2000")]
        for publisher in publishers { try await publisher.ask("publish 1000", "published 1000") }
        try await killNode(in: place)
        let victim = ofPublisher ? publishers[0] : subscribers[0]
        try await victim.kill()
        try await place.startNode()
        let living = (publishers + subscribers).filter { $0 !== victim }
        for peer in living { try await peer.line("node-rejoined") }
        try await publishers[1].ask("publish 500", "published 1500")
        if !ofPublisher { try await publishers[0].ask("publish 500", "published 1500") }
        if ofPublisher {
          // What it was handed of the dead one's, and all of the living one's.
          subscribers[0].tell("run")
          try await subscribers[0].line("node-stream-lost")
          let took = try #require(try await subscribers[0].ask("release", "took").first.flatMap { Int($0) })
          #expect(took >= 1500 && took <= 2500)
          try await subscribers[0].line("released")
          subscribers[1].tell("run")
          try await subscribers[1].line("node-stream-lost")
        } else {
          try await subscribers[1].ask("take 3000", "took 3000 0")
        }
        try await place.books("only what is written to is held") {
          $0.pool.sealed == 0 && $0.pool.pinned == 0 && $0.clients.count == 4
        }
      }
    }

    @Test("A publisher that is closed without a node is not lost: what it published goes to the next one first")
    func closedInTheGap() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --sizes 1000")
        let publisher = try await place.publisher("topic --sizes 1000")
        try await publisher.ask("publish 3000", "published 3000")
        try await killNode(in: place)
        try await publisher.line("node-lost")
        try await publisher.ask("close", "closed")
        try await place.startNode()
        try await publisher.line("node-rejoined")
        try await subscriber.ask("take 3000", "took 3000 0")
        try await place.books("the stream is over") { $0.streams.isEmpty }
      }
    }

    @Test("When no node comes back in time, that is said")
    func givesUp() async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("topic --rejoin-within 100")
        let publisher = try await place.publisher("topic --rejoin-within 100")
        try await killNode(in: place)
        for peer in [subscriber, publisher] { try await peer.line("node-gave-up") }
        #expect(try await subscriber.ask("take 1", "failed").joined(separator: " ").contains("the node is gone"))
        try await place.startNode()
      }
    }

    @Test("When the process with the embedded node is killed, another takes its place, and the living go on")
    func embedded() async throws {
      try await Workplace.with(contribution: 64 << 20, node: false) { place in
        let embed = "--embed \(place.contribution)"
        let owner = try await place.publisher("other \(embed)")
        let subscriber = try await place.subscriber("topic --sizes 1000 \(embed)")
        let publisher = try await place.publisher("topic --sizes 1000 \(embed)")
        try await publisher.ask("publish 2000", "published 2000")
        try await owner.kill()
        for peer in [subscriber, publisher] { try await peer.line("node-rejoined") }
        try await publisher.ask("publish 2000", "published 4000")
        try await subscriber.ask("take 4000", "took 4000 0")
        try await place.joinInspector()
        let books = try await place.books()
        #expect([subscriber.processID, publisher.processID].contains(books.pool.nodeProcessID))
        await place.leaveInspector()
      }
    }
  }
}

extension Sequence {
  fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}
