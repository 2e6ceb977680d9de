import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// Leases, and the segments that come of them.
@Suite struct LeaseTests {
  @Test func aSegmentOfHalfAPageIsNoSegment() throws {
    var world = NodeWorld()
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    for capacity: UInt64 in [1, 4096, 8193, UInt64(Int.max)] {
      var copy = world
      let wish = RequestLease(request: 9, stream: stream, capacity: capacity, isAhead: false)
      let actions = copy.tell(client, .requestLease(wish))
      #expect(actions.contains { $0.isDisconnect(of: client) }, "\(capacity)")
    }
  }

  enum End: CaseIterable { case closes, leaves, dies }

  @Test(arguments: End.allCases)
  func aLeaseWhoseSegmentFailsAfterItsStreamWasClosedIsForgotten(end: End) throws {
    var world = NodeWorld()
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    let wish = RequestLease(request: 9, stream: stream, capacity: 64 << 10, isAhead: false)
    guard case .create(let segment, _, _)? = world.tell(client, .requestLease(wish)).first else {
      Issue.record("no segment is made")
      return
    }
    world.end(client, stream, end)
    _ = world.core.segmentCreationFailed(segment, contents: world.contents, now: 10)
    #expect(world.core.leases.isEmpty && world.core.creating.isEmpty && world.core.clients.isEmpty == (end != .closes))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  /// Else more is made than the pool has, as often as one asks and goes.
  @Test(arguments: End.allCases)
  func memoryThatIsBeingMadeIsOnTheBooksUntilItIsThere(end: End) throws {
    var world = NodeWorld()
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    let wish = RequestLease(request: 9, stream: stream, capacity: 1 << 20, isAhead: false)
    guard case .create(let segment, _, _)? = world.tell(client, .requestLease(wish)).first else {
      Issue.record("no segment is made")
      return
    }
    world.end(client, stream, end)
    #expect(world.core.ledger.poolUsage.free == 0)
    let actions = world.core.segmentCreated(segment, contents: world.contents, now: 10)
    if end == .closes {
      _ = world.tell(client, .segmentUnmapped(segment, by: nil))
    } else {
      #expect(actions.contains(.destroy(segment)))
    }
    #expect(world.core.leases.isEmpty && world.core.creating.isEmpty && world.core.streams.isEmpty)
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test(arguments: End.allCases)
  func leasesThatWaitAreForgottenWithTheirStreams(end: End) throws {
    var world = NodeWorld(contribution: 64 << 10)
    let (client, other) = (world.join(), world.join())
    let streams = try ["a", "b"].map { try world.openPublisher(client, $0) }
    _ = try world.lease(client, streams[0])
    for stream in [try world.openPublisher(other, "c")] + streams {
      let wish = RequestLease(request: 8, stream: stream, capacity: 64 << 10, isAhead: false)
      _ = world.tell(stream == streams[0] || stream == streams[1] ? client : other, .requestLease(wish))
    }
    #expect(world.core.leases.count == 3)
    world.end(client, streams[0], end)
    if end == .closes { _ = world.tell(client, .closePublisher(streams[1])) }
    #expect(world.core.leases.values.map(\.client) == [other])
    if end == .dies { #expect(world.core.creating.count == 1) }
    #expect(world.core.ledger.waitingLeaseCount == (end == .dies ? 0 : 1))
  }

  @Test func aSegmentThatIsNotMadeYetIsNeitherReadyNorSealedNorUnmapped() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    _ = try world.subscribe(subscriber, "a")
    let wish = RequestLease(request: 9, stream: stream, capacity: 64 << 10, isAhead: false)
    guard case .create(let segment, _, _)? = world.tell(publisher, .requestLease(wish)).first else {
      Issue.record("no segment is made")
      return
    }
    let identity = SegmentIdentity(id: segment, epoch: 1)
    for early: ClientMessage in [.segmentReady(identity), .sealSegment(identity), .segmentUnmapped(segment, by: nil)] {
      var copy = world
      let actions = copy.tell(publisher, early)
      #expect(actions.contains { $0.isDisconnect(of: publisher) }, "\(early)")
      #expect(!actions.contains { $0.message(to: subscriber) != nil }, "\(early)")
      #expect(copy.core.ledger.poolUsage.leased == 64 << 10, "\(early)")
    }
  }

  @Test func aSegmentIsSealedAgainstOthersBeforeItIsHanded() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    _ = try world.subscribe(subscriber, "a")
    let segment = try world.lease(publisher, stream)
    let actions = world.tell(publisher, .segmentReady(segment))
    let sealing = try #require(actions.firstIndex(of: .sealAgainstFurtherWriters(segment.id)))
    let handing = try #require(actions.firstIndex { $0.message(to: subscriber)?.isHanding == true })
    #expect(sealing < handing)
    guard case .send(_, _, let attachment) = actions[handing] else { return }
    #expect(attachment == .readOnly(segment.id))
  }

  /// Else it would keep from its subscriptions for good what comes behind it, and they it from the pool.
  @Test func aSegmentThatIsSealedUnreportedIsHanded() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let subscription = try world.subscribe(subscriber, "a")
    let (first, second) = (try world.lease(publisher, stream), try world.lease(publisher, stream))
    _ = world.tell(publisher, .segmentReady(second))
    for segment in [first, second] { world.contents.log[segment] = [segment == first ? 1 : 2] }
    let actions = world.tell(publisher, .sealSegment(first))
    let handed = actions.filter { $0.message(to: subscriber)?.isHanding == true }
    #expect(actions.first == .sealAgainstFurtherWriters(first.id) && handed.count == 2)
    for segment in [first, second] { _ = world.tell(subscriber, .releaseSegment(segment, by: subscription)) }
    #expect(world.tell(publisher, .sealSegment(second)).contains(.sealAgainstFurtherWriters(second.id)) == false)
    #expect(world.core.ledger.poolUsage.sealed == 0 && world.core.ledger.violations() == [])
  }

  @Test func aSegmentThatIsTakenFromSeveralIsReadOnce() throws {
    var world = NodeWorld(contribution: 64 << 10)
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a", whenFull: .evictOldest)
    for _ in 0..<3 { _ = try world.subscribe(subscriber, "a") }
    let segment = try world.lease(publisher, stream)
    world.contents.log[segment] = [1, 2]
    _ = world.tell(publisher, .sealSegment(segment))
    let before = world.contents.scans.value
    let taking = world.tell(
      publisher, .requestLease(RequestLease(request: 8, stream: stream, capacity: 64 << 10, isAhead: false)))
    let lags = taking.compactMap { action -> Lagged? in
      if case .lagged(let lagged)? = action.message(to: subscriber) { lagged } else { nil }
    }
    #expect(lags.count == 3 && lags.allSatisfy { $0.messageCount == 2 })
    #expect(world.contents.scans.value == before + 1)
  }

  @Test func aLeaseThatIsGivenUpIsAnswered() throws {
    var world = NodeWorld(contribution: 64 << 10)
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    _ = try world.lease(client, stream)
    let wish = RequestLease(request: 8, stream: stream, capacity: 64 << 10, isAhead: false)
    #expect(world.tell(client, .requestLease(wish)).refusal(to: client) == nil)
    let refusal = world.tell(client, .cancelLease(request: 8)).refusal(to: client)
    #expect(refusal?.request == 8 && refusal?.code == .cancelled)
    #expect(world.tell(client, .cancelLease(request: 8)).isEmpty)
  }

  @Test func aRefusalSaysWhoHoldsWhat() throws {
    var world = NodeWorld(contribution: 64 << 10)
    let (publisher, subscriber) = (world.join("camera"), world.join("detector"))
    let stream = try world.openPublisher(publisher, "camera/front", whenFull: .fail)
    _ = try world.subscribe(subscriber, "**")
    let segment = try world.lease(publisher, stream, capacity: 64 << 10)
    _ = world.tell(publisher, .segmentReady(segment))
    world.contents.log[segment] = [1]
    _ = world.tell(publisher, .sealSegment(segment))
    let wish = RequestLease(request: 8, stream: stream, capacity: 8192, isAhead: false)
    let refusal = world.tell(publisher, .requestLease(wish)).refusal(to: publisher)
    #expect(refusal?.code == .poolExhausted && refusal?.request == 8)
    for word in ["65536", "8192", "camera/front", "detector"] {
      #expect(refusal?.message.contains(word) == true, "\(word): \(refusal?.message ?? "")")
    }
  }
}

extension NodeWorld {
  fileprivate mutating func end(_ client: ClientID, _ stream: StreamID, _ end: LeaseTests.End) {
    switch end {
    case .closes: _ = tell(client, .closePublisher(stream))
    case .leaves: _ = leave(client)
    case .dies: _ = die(client)
    }
  }
}
