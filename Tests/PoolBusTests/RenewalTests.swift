import BusProtocol
import Platform
import PooledMemory
import TestSupport
import Testing

@testable import PoolBus

/// Publishers write their segments anew, without the node, as soon as all who were promised them have read them.
@Suite struct RenewalTests {
  @Test(.timeLimit(.minutes(5)), arguments: [100, 100_000, 3_000_000])
  func aStreamThatIsReadNeedsNoFurtherSegments(size: Int) async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func exchange(_ count: Int) async throws {
        for _ in 1...count {
          let loan = try await publisher.loan(byteCount: size)
          try loan.publish()
          #expect(try await subscriber.next()?.byteCount == size)
        }
      }
      // A fast stream first comes to larger ones.
      #expect(try await becomesSteady(on: bus, within: 10) { try await exchange(2_000) })
    }
  }

  /// Whether in one of so many rounds the node leases nothing, and takes nothing back.
  private func becomesSteady(
    on bus: Bus, within rounds: Int, _ round: () async throws -> Void
  ) async throws -> Bool {
    var before = try await bus.inspect().pool
    for _ in 1...rounds {
      try await round()
      let after = try await bus.inspect().pool
      if after.segmentsLeased == before.segmentsLeased, after.segmentsReclaimed == before.segmentsReclaimed {
        return true
      }
      before = after
    }
    return false
  }

  /// As if segments had been filled so fast, for which no debug build is fast enough.
  private func turnTooOften(_ sizing: inout SegmentSizing, filled: Int) {
    let now = Clock.monotonicNanoseconds
    for turn in 0...UInt64(SegmentSizing.mostShortTurns) {
      sizing.rotated(filled: filled, keepsUp: true, now: now + turn)
    }
  }

  /// What was read just now lies in the readers' own caches, where to write it anew is slow.
  @Test(.timeLimit(.minutes(1))) func aFastStreamComesToLargeSegmentsAlthoughItIsRead() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      // The stream has to be fast, which nobody can promise here: until it was.
      while publisher.core.state.withLock({ ($0.small.current?.log.capacity ?? 0) < 4 * SegmentSizing.smallest }) {
        try await publisher.loan(byteCount: 32 << 10).publish()
        _ = try await subscriber.next()
      }
      // What it has outgrown goes back.
      func smaller() async throws -> Int {
        try await bus.inspect().segments.count {
          $0.state == .leased && $0.capacity < 2 * UInt64(SegmentSizing.smallest)
        }
      }
      while try await smaller() > 0 {
        try await publisher.loan(byteCount: 32 << 10).publish()
        _ = try await subscriber.next()
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func largeMessagesComeToShareASegmentOnceTheyFollowEachOtherAtOnce() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func exchange() async throws {
        try await publisher.loan(byteCount: 3 << 20).publish()
        #expect(try await subscriber.next()?.byteCount == 3 << 20)
      }
      try await exchange()
      let single = publisher.core.state.withLock { state in
        let single = state.held.values.first?.log.capacity ?? 0
        turnTooOften(&state.large.sizing, filled: single)
        return single
      }
      while publisher.core.state.withLock({ ($0.large.current?.log.capacity ?? 0) < 2 * single }) {
        try await exchange()
      }
      // What it has outgrown goes back.
      while try await bus.inspect().segments.contains(where: { $0.state == .leased && $0.capacity == UInt64(single) }) {
        try await exchange()
      }
    }
  }

  /// Of messages of 3 MB two fit an eighth of the pool, and leave more than a quarter of it: larger segments there are none.
  @Test(.timeLimit(.minutes(1))) func noLargerSegmentsAreAskedForThanThereAre() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func exchange() async throws {
        try await publisher.loan(byteCount: 3_000_000).publish()
        #expect(try await subscriber.next()?.byteCount == 3_000_000)
      }
      for _ in 1...10 { try await exchange() }
      publisher.core.state.withLock { turnTooOften(&$0.large.sizing, filled: 6_000_000) }
      // One that was asked for before may still come.
      #expect(
        try await becomesSteady(on: bus, within: 5) {
          for _ in 1...1_000 { try await exchange() }
        })
    }
  }

  @Test(.timeLimit(.minutes(5))) func aSampleThatIsHeldIsNeverWrittenAnew() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [UInt8](repeating: 1, count: 20_000))
      let held = try #require(await firstSample(subscriber))
      for _ in 1...500 {
        try await publisher.publish(copying: [UInt8](repeating: 2, count: 20_000))
        _ = try await nextBytes(subscriber)
      }
      held.check { sample in
        for index in 0..<sample.byteCount { #expect(sample.bytes.byte(at: index) == 1) }
      }
    }
  }

  /// A sample is its holder's also when the subscriber is closed that has received it.
  @Test(.timeLimit(.minutes(5)), arguments: [100, 20_000, 3_000_000])
  func aSampleOfAClosedSubscriberIsNeverWrittenAnew(size: Int) async throws {
    try await withBus { bus in
      let other = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      for number in 1...5 as ClosedRange<UInt8> {
        let subscriber = try await bus.subscriber(to: "a")
        try await publisher.publish(copying: [UInt8](repeating: number, count: size))
        let held = try #require(await firstSample(subscriber))
        _ = try await nextBytes(other)
        subscriber.close()
        for _ in 1...500 {
          try await publisher.publish(copying: [UInt8](repeating: 0, count: size))
          _ = try await nextBytes(other)
        }
        held.check { sample in
          for index in 0..<sample.byteCount where sample.bytes.byte(at: index) != number {
            Issue.record("sample \(number) is not what was published, from byte \(index) on")
            break
          }
        }
      }
    }
  }

  /// Of the dead no sample is out, so what they had not read is as good as read.
  @Test(arguments: [Departure.closed, .died, .cutOff]) func onlyTheDeadNeedNothing(departure: Departure) async throws {
    try await withBus { bus in
      let leaving = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1])
      publisher.core.subscriberLeft(leaving.subscription, departure)
      let isForced = publisher.core.state.withLock { state in state.held.values.contains(where: \.isForced) }
      #expect(isForced == (departure != .died))
    }
  }

  /// Two threads of which ThreadSanitizer tells if they are not kept apart: what a warm lease begins anew, others look at.
  @Test func aWarmLeaseBeginsWhileRoomIsMade() async throws {
    try await SilentNode.with { _, client in
      let publisher = try Publisher.silent(client, whenFull: .wait(timeout: nil))
      let core = publisher.core
      let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: 64 << 10)
      core.grant(file, 1, try OwnedDescriptor.duplicating(file.raw))
      let wish = try core.wish(byteCount: 8, alignment: 64, attributes: .none)
      let making = Task.detached {
        for _ in 1...10_000 { core.state.withLock { core.makeRoom(for: wish, in: &$0) } }
      }
      for epoch in 2...1_000 as ClosedRange<UInt32> {
        core.giveBack()
        core.grant(file, epoch)
      }
      await making.value
      let epoch = core.state.withLock { $0.held.values.first?.log.identity.epoch }
      #expect(epoch == 1_000)
      publisher.close()
    }
  }

  /// Whatever a node says, who writes a loan keeps its room.
  @Test func aWarmLeaseOfWhatIsWrittenToIsNone() async throws {
    try await SilentNode.with { _, client in
      let publisher = try Publisher.silent(client, whenFull: .fail)
      let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: 64 << 10)
      publisher.core.grant(file, 1, try OwnedDescriptor.duplicating(file.raw))
      guard let loan = try publisher.tryLoan(byteCount: 8) else {
        Issue.record("there is no room")
        return
      }
      publisher.core.grant(file, 2)
      let failure = failure(publishing: loan)
      #expect(failure == nil)
      publisher.close()
    }
  }

  /// Subscriptions come and go while a stream renews its segments: each sees all from its first message on.
  @Test(.timeLimit(.minutes(5))) func whoJoinsMissesNothing() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      var readers: [(subscriber: Subscriber, next: UInt64)] = []
      for number in 1...4_000 as ClosedRange<UInt64> {
        try await publisher.publish(copying: [UInt8](repeating: UInt8(number & 0xFF), count: 5_000))
        if readers.count < 4, Int.random(in: 0..<20, using: &random) == 0 {
          readers.append((try await bus.subscriber(to: "a"), number + 1))
        }
        for index in readers.indices.reversed() {
          // Nearly always all that is there; at times it lags behind by a few.
          while readers[index].next <= number, Int.random(in: 0..<10, using: &random) > 0 {
            let received = try #require(await nextBytes(readers[index].subscriber))
            #expect(received.sequence == readers[index].next, "seed \(seed)")
            #expect(received.bytes.allSatisfy { $0 == UInt8(received.sequence & 0xFF) }, "seed \(seed)")
            readers[index].next += 1
          }
          if Int.random(in: 0..<100, using: &random) == 0 { readers.remove(at: index) }
        }
      }
    }
  }

  @Test func whatATopicKeepsIsNotWrittenAnew() async throws {
    try await withBus { bus in
      let keeping = PublisherOptions(retention: Retention(messages: 50))
      let publisher = try await bus.publisher(for: "a", options: keeping)
      let subscriber = try await bus.subscriber(to: "a")
      for number in 1...200 {
        try await publisher.publish(copying: [UInt8](repeating: UInt8(number), count: 5_000))
        _ = try await nextBytes(subscriber)
      }
      let late = try await bus.subscriber(to: "a")
      for sequence in 151...200 as ClosedRange<UInt64> {
        #expect(try await nextBytes(late)?.sequence == sequence)
      }
    }
  }

  /// Publishers that have segments half full and are silent starve nobody.
  @Test(.timeLimit(.minutes(5))) func whatIsHalfFullIsGivenBackToWhoWaits() async throws {
    try await withBus(contribution: 512 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "**")
      var publishers: [Publisher] = []
      for number in 1...20 {
        let publisher = try await bus.publisher(for: "a/\(number)")
        publishers.append(publisher)
        try await publisher.publish(copying: [UInt8](repeating: 1, count: 30_000))
        #expect(try await nextBytes(subscriber)?.bytes.count == 30_000)
      }
      #expect(publishers.count == 20)
    }
  }

  /// What a publisher keeps for its next messages is others' when they need it.
  @Test(.timeLimit(.minutes(5))) func whatRestsIsGivenBackToWhoWaits() async throws {
    try await withBus(contribution: 512 << 10) { bus in
      let (first, second) = (try await bus.publisher(for: "a"), try await bus.publisher(for: "b"))
      let subscriber = try await bus.subscriber(to: "**")
      for _ in 1...100 {
        try await first.publish(copying: [UInt8](repeating: 1, count: 50_000))
        _ = try await nextBytes(subscriber)
      }
      try await second.publish(copying: [UInt8](repeating: 1, count: 330_000))
      #expect(try await nextBytes(subscriber)?.bytes.count == 330_000)
      for _ in 1...100 {
        try await first.publish(copying: [UInt8](repeating: 1, count: 50_000))
        #expect(try await nextBytes(subscriber)?.bytes.count == 50_000)
      }
    }
  }
}

extension PublisherCore {
  /// As if it had asked for the segment and the node had granted it; warm without a descriptor.
  fileprivate func grant(_ file: borrowing SegmentFile, _ epoch: UInt32, _ descriptor: consuming OwnedDescriptor? = nil)
  {
    let isWarm = descriptor == nil
    let request = LeaseRequest(lane: .small, capacity: file.capacity, isToGrow: false)
    state.withLock { $0.requests[UInt64(epoch)] = request }
    leaseGranted(
      LeaseGranted(
        request: UInt64(epoch), stream: stream, segment: SegmentIdentity(id: file.id, epoch: epoch),
        capacity: UInt64(file.capacity), warm: isWarm, isShort: false), descriptor: descriptor)
  }
}

extension RawSpan {
  /// - Parameter index: below `byteCount`.
  fileprivate func byte(at index: Int) -> UInt8 {
    // SAFETY: any byte is a UInt8.
    unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
  }
}
