import Testing

extension Hostile {
  /// Who speaks of what is another's, or takes another's name.
  @Suite struct Ownership {
    @Test func releasesAndSealsWhatIsAnothers() async throws {
      try await Bystanders.with { bystanders in
        try await bystanders.areUnharmed()
        let books = try await bystanders.books()
        let stream = bystanders.stream.rawValue
        let subscription = books.subscriptions[0].subscription.rawValue
        let first = try #require(books.segments.first).segment.rawValue
        var refused = 0
        // Of the pair's segments one that is there now, and all that may come soon.
        for segment in first..<first + 6 {
          for attempt in [
            Say.closePublisher(stream), Say.requestLease(9, stream: stream, capacity: 65_536),
            Say.unsubscribe(subscription), Say.releaseSegment(segment, epoch: 1, by: subscription),
            Say.segmentPassed(segment, epoch: 1, by: subscription), Say.segmentUnmapped(segment, by: subscription),
          ] {
            let liar = try await Liar.join(bystanders.socket)
            liar.say(attempt)
            let refusal = try #require(try await liar.hearEnd())
            #expect(refusal[2] == 5 && refusal.text(3).contains("another client"))
          }
          for attempt in [
            Say.segmentReady(segment, epoch: 1), Say.sealSegment(segment, epoch: 1), Say.segmentUnmapped(segment),
          ] {
            // The segment may be gone already, which is no offence.
            let liar = try await Liar.join(bystanders.socket)
            liar.say(attempt)
            guard try await !liar.isHeard() else { continue }
            #expect(liar.lastRefusal?[2] == 5)
            refused += 1
          }
        }
        #expect(refused > 0)
      }
    }

    @Test func releasesTwiceAndBeforeItWasHanded() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let subscription = try await liar.subscribe("liar/a")
        let second = try await liar.subscribe("liar/**")
        let leased = try await liar.lease(stream)
        liar.say(Say.releaseSegment(leased.segment, epoch: 1, by: subscription))
        #expect(try await liar.isHeard())
        liar.say(Say.segmentReady(leased.segment, epoch: 1))
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        liar.say(Say.sealSegment(leased.segment, epoch: 1))
        for _ in 0..<5 {
          liar.say(Say.releaseSegment(leased.segment, epoch: 1, by: subscription))
          liar.say(Say.releaseSegment(leased.segment, epoch: 2, by: second))
          liar.say(Say.releaseSegment(leased.segment, epoch: 0xffff_ffff, by: second))
        }
        #expect(try await liar.isHeard())
        // One release of one subscription: the other's promise stands.
        let books = try await bystanders.books()
        let segment = try #require(books.segments.first { $0.segment.rawValue == leased.segment })
        #expect(segment.state == .sealed)
        let promised = books.holders.filter { $0.segment.rawValue == leased.segment && $0.reason == .promised }
        #expect(promised.map(\.subscription?.rawValue) == [second])
      }
    }

    @Test func sealsTwiceAndGoesOnWriting() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let leased = try await liar.leaseReady(stream)
        leased.write(sequence: 1, at: 0)
        // The same message again: published twice, received once.
        leased.write(sequence: 1, at: 1)
        leased.write(sequence: 2, at: 2)
        leased.commit(3)
        leased.seal(3)
        try await eventually("both messages are received") { bystanders.strange == 2 }
        for _ in 0..<3 { liar.say(Say.sealSegment(leased.segment, epoch: 1)) }
        // From here on the segment's end is known.
        #expect(try await liar.isHeard())
        leased.write(sequence: 3, at: 3)
        leased.commit(4)
        leased.seal(4)
        #expect(try await liar.isHeard())
        try await bystanders.areUnharmed()
        #expect(bystanders.strange == 2)
      }
    }

    @Test func claimsAnothersTopicAndName() async throws {
      try await Bystanders.with { bystanders in
        let liar = try Liar(bystanders.socket)
        liar.say(Say.hello(name: Array("bystander publisher".utf8)))
        _ = try await liar.hear(.welcome)
        // Anybody may publish on a topic: as a stream of its own, that nobody takes for the other.
        let stream = try await liar.openPublisher(Bystanders.topic)
        #expect(stream != bystanders.stream.rawValue)
        let leased = try await liar.leaseReady(stream)
        for sequence in UInt64(1)...5 { leased.write(sequence: sequence, at: UInt32(sequence - 1)) }
        leased.commit(5)
        leased.seal(5)
        try await eventually("its messages are received as its own") { bystanders.strange == 5 }
        let clients = try await bystanders.books().clients.filter { $0.name == "bystander publisher" }
        #expect(Set(clients.map(\.processID)).count == 2, "the kernel says which is which")
      }
    }

    @Test func unsubscribesAndKeepsWhatItMaps() async throws {
      try await Bystanders.with({ $0.clientLimits.subscriptions = 8 }) { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let leased = try await liar.leaseReady(stream)
        for _ in 0..<8 {
          let subscription = try await liar.subscribe("liar/a")
          _ = try await liar.hear(.segmentHanded)
          liar.say(Say.unsubscribe(subscription))
        }
        // Closed, but not done with: they count until it says that it maps nothing.
        liar.say(Say.subscribe(77, pattern: Array("liar/a".utf8)))
        let refusal = try await liar.hear(.refusal)
        #expect(refusal[1] == 77 && refusal[2] == 6)
        #expect(try await liar.isHeard())
        #expect(try await bystanders.books().segments.contains { $0.segment.rawValue == leased.segment })
      }
    }

    @Test func leavesWithoutAWordAndLivesOn() async throws {
      try await Bystanders.with { bystanders in
        for _ in 0..<20 {
          let liar = try await Liar.join(bystanders.socket)
          let stream = try await liar.openPublisher("liar/a", retention: [8, 5])
          _ = try await liar.subscribe("liar/**")
          // Never mapped by anybody, and never said to be ready.
          liar.say(Say.requestLease(9, stream: stream, capacity: 1 << 20))
          _ = try await liar.lease(stream)
        }
        try await bystanders.othersHoldNothing()
      }
    }

    /// The node answers the first of its last words, and learns that nobody is there; the others it must hear.
    @Test func hangsUpRightAfterItsLastWords() async throws {
      try await Bystanders.with { bystanders in
        for _ in 0..<100 {
          let liar = try await Liar.join(bystanders.socket, isProcess: false)
          let stream = try await liar.openPublisher("liar/a")
          let leased = try await liar.leaseReady(stream)
          leased.write(sequence: 1, at: 0)
          leased.commit(1)
          #expect(try await liar.isHeard())
          liar.say(Say.closePublisher(stream))
          liar.say(Say.segmentUnmapped(leased.segment))
        }
        // This process lives on, so the node has nothing but these words.
        try await bystanders.othersHoldNothing()
      }
    }

    @Test func aLoanIsNeverReturned() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let leased = try await liar.leaseReady(stream, capacity: 8 << 20)
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        try await bystanders.areUnharmed()
        let books = try await bystanders.books()
        let holder = try #require(books.holders.first { $0.segment.rawValue == leased.segment })
        #expect(holder.reason == .writes && holder.subscription == nil)
        #expect(books.clients.contains { $0.client == holder.client && $0.name == "liar" })
      }
    }
  }
}
