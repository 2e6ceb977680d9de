import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// The node's decisions, without sockets: what it answers, and whom it sends away.
@Suite struct NodeCoreTests {
  @Test func theFirstMessageMustBeHello() {
    var world = NodeWorld()
    let client = world.connect()
    let actions = world.tell(client, .inspect(request: 1))
    #expect(actions.contains { $0.isDisconnect(of: client) })
  }

  @Test func anotherProtocolVersionIsRefusedInWords() {
    var world = NodeWorld()
    let client = world.connect()
    let actions = world.tell(client, .hello(Hello(protocolVersion: 99, name: "old")))
    #expect(actions.refusal(to: client)?.code == .version)
    #expect(actions.refusal(to: client)?.message.contains("99") == true)
    #expect(actions.contains { $0.isDisconnect(of: client) })
  }

  @Test func whatIsAnothersCannotBeUsed() throws {
    var world = NodeWorld()
    let (owner, thief) = (world.join(), world.join())
    let stream = try world.openPublisher(owner, "camera/front")
    let subscription = try world.subscribe(owner, "**")
    let segment = try world.lease(owner, stream)
    let attempts: [ClientMessage] = [
      .closePublisher(stream),
      .requestLease(RequestLease(request: 9, stream: stream, capacity: 8192, isAhead: false)),
      .segmentReady(segment), .sealSegment(segment), .segmentUnmapped(segment.id, by: nil),
      .unsubscribe(subscription), .releaseSegment(segment, by: subscription),
      .segmentUnmapped(segment.id, by: subscription),
    ]
    for attempt in attempts {
      var copy = world
      let actions = copy.tell(thief, attempt)
      #expect(actions.refusal(to: thief)?.code == .notPermitted, "\(attempt)")
      #expect(actions.contains { $0.isDisconnect(of: thief) }, "\(attempt)")
      #expect(!actions.contains { $0.isDisconnect(of: owner) }, "\(attempt)")
    }
  }

  @Test func whatIsLateHasNoEffect() throws {
    var world = NodeWorld()
    let client = world.join()
    let unknown = SegmentIdentity(id: SegmentID(rawValue: 77), epoch: 1)
    for late: ClientMessage in [
      .segmentReady(unknown), .sealSegment(unknown), .segmentUnmapped(unknown.id, by: nil),
      .closePublisher(StreamID(rawValue: 77)), .unsubscribe(SubscriptionID(rawValue: 77)),
      .releaseSegment(unknown, by: SubscriptionID(rawValue: 77)), .cancelLease(request: 5),
    ] {
      let actions = world.tell(client, late)
      #expect(actions == [], "\(late)")
    }
  }

  @Test func aLateJoinerStartsAfterWhatIsCommitted() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let segment = try world.lease(publisher, stream)
    _ = world.tell(publisher, .segmentReady(segment))
    world.contents.log[segment] = [1, 2, 3]
    let actions = world.tell(subscriber, .subscribe(.test("a")))
    #expect(actions.introductions(to: subscriber).map(\.firstSequence) == [4])
    #expect(actions.contains { $0.message(to: subscriber)?.isHanding == true })
  }

  /// Without a place it would have to ask the node for each of its segments.
  @Test func aBusyStreamHasPlacesBesideAThousandIdleOnes() throws {
    var world = NodeWorld(contribution: 256 << 20) { $0.clientLimits.publishers = 2_000 }
    let (publisher, subscriber) = (world.join(), world.join())
    _ = try world.subscribe(subscriber, "**")
    var places: [UInt32] = []
    func lease(_ stream: StreamID) throws {
      let segment = try world.lease(publisher, stream)
      places += world.tell(publisher, .segmentReady(segment)).compactMap { action in
        if case .segmentPromised(let promised)? = action.message(to: publisher) { promised.place } else { nil }
      }
    }
    for number in 0..<1_000 { try lease(world.openPublisher(publisher, "idle/\(number)")) }
    let busy = try world.openPublisher(publisher, "busy")
    for _ in 0..<8 { try lease(busy) }
    #expect(places.count == 1_008 && Set(places).count == 1_008 && !places.contains(0))
  }

  @Test func aPublisherIsToldWhoListens() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let joining = world.tell(subscriber, .subscribe(.test("a")))
    let subscription = try #require(joining.subscribed)
    let joined = SubscriberJoined(
      stream: stream, subscription: subscription, joins: 1, observes: false, bell: world.core.bell(of: subscriber))
    #expect(joining.contains(.send(.subscriberJoined(joined), to: publisher, attaching: .wakePage(subscription))))
    let leaving = world.die(subscriber)
    #expect(leaving.contains(.send(.subscriberLeft(subscription, stream: stream, .died), to: publisher)))
    let other = world.join()
    let cutOff = try world.subscribe(other, "a")
    let ending = world.leave(other)
    #expect(ending.contains(.send(.subscriberLeft(cutOff, stream: stream, .cutOff), to: publisher)))
  }

  @Test func aSegmentThatItsPublisherRenewedEndsInTheLifeItIsIn() throws {
    var world = NodeWorld()
    let (publisher, reader, laggard) = (world.join(), world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let (has, hasNot) = (try world.subscribe(reader, "a"), try world.subscribe(laggard, "a"))
    let segment = try world.lease(publisher, stream)
    let handing = world.tell(publisher, .segmentReady(segment))
    let promised = handing.compactMap { action -> SegmentPromised? in
      guard case .segmentPromised(let promised)? = action.message(to: publisher) else { return nil }
      return promised
    }
    #expect(promised.map(\.subscription) == [has, hasNot] && promised.allSatisfy { $0.place > 0 })

    let life = SegmentIdentity(id: segment.id, epoch: 7)
    world.contents.renewed[segment.id] = 7
    world.contents.log[life] = [40, 41]
    world.contents.acknowledged[has] = [life]
    let sealing = world.tell(publisher, .sealSegment(life))
    let sealed = SegmentSealed(subscription: hasNot, stream: stream, segment: life, slots: 2)
    #expect(sealing == [.send(.segmentSealed(sealed), to: laggard)])
    #expect(world.core.ledger.promisedSegments(of: stream, to: has).isEmpty)
    #expect(world.core.ledger.promisedSegments(of: stream, to: hasNot) == [life])
    _ = world.tell(laggard, .releaseSegment(life, by: hasNot))
    #expect(world.core.ledger.poolUsage.warm == 64 << 10)
  }

  @Test func aJoinerStartsBehindALifeThatHasJustBegun() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let segment = try world.lease(publisher, stream)
    _ = world.tell(publisher, .segmentReady(segment))
    world.contents.log[segment] = [1, 2, 3]
    world.contents.renewed[segment.id] = 2
    world.contents.bases[SegmentIdentity(id: segment.id, epoch: 2)] = 3
    let actions = world.tell(subscriber, .subscribe(.test("a")))
    #expect(actions.introductions(to: subscriber).map(\.firstSequence) == [4])
  }

  @Test func publishersAreToldThatTheirTopicKeepsMessages() throws {
    var world = NodeWorld()
    let (first, second) = (world.join(), world.join())
    let stream = try world.openPublisher(first, "a")
    let keep = OpenPublisher(
      request: 7, topic: try TopicName("a"), whenFull: .fail, retention: Retention(messages: 1))
    let opening = world.tell(second, .openPublisher(keep))
    #expect(opening.contains(.send(.retention(stream, isRetained: true), to: first)))
    let forget = OpenPublisher(request: 8, topic: try TopicName("a"), whenFull: .fail, retention: Retention.none)
    #expect(
      world.tell(second, .openPublisher(forget)).contains(.send(.retention(stream, isRetained: false), to: first)))
  }

  @Test func theDeadLeaveNothingBehind() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let subscription = try world.subscribe(subscriber, "**")
    let segment = try world.lease(publisher, stream)
    _ = world.tell(publisher, .segmentReady(segment))
    world.contents.log[segment] = [1, 2]

    let publisherEnd = world.die(publisher)
    let sealed = SegmentSealed(subscription: subscription, stream: stream, segment: segment, slots: 2)
    #expect(publisherEnd.contains(.send(.segmentSealed(sealed), to: subscriber)))
    #expect(!publisherEnd.contains(.destroy(segment.id)))

    let subscriberEnd = world.die(subscriber)
    #expect(subscriberEnd.contains(.destroy(segment.id)))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
    #expect(world.core.clients.isEmpty && world.core.streams.isEmpty && world.core.subscriptions.isEmpty)
    #expect(world.core.segments.isEmpty && world.core.leases.isEmpty && world.core.creating.isEmpty)
  }

  @Test func aClientThatOnlyHungUpStillMapsItsSegments() throws {
    var world = NodeWorld()
    let publisher = world.join()
    let stream = try world.openPublisher(publisher, "a")
    let segment = try world.lease(publisher, stream)
    _ = world.tell(publisher, .segmentReady(segment))

    let leaving = world.leave(publisher)
    #expect(!leaving.contains(.destroy(segment.id)))
    #expect(world.core.ledger.poolUsage.pinned > 0)
    let dying = world.die(publisher)
    #expect(dying.contains(.destroy(segment.id)))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func whatWasClosedButStillMappedIsFreedWhenItsProcessDies() throws {
    var world = NodeWorld()
    let (publisher, subscriber) = (world.join(), world.join())
    let stream = try world.openPublisher(publisher, "a")
    let subscription = try world.subscribe(subscriber, "a")
    let segment = try world.lease(publisher, stream)
    _ = world.tell(publisher, .segmentReady(segment))
    world.contents.log[segment] = [1]
    _ = world.tell(publisher, .sealSegment(segment))
    // Both close, and keep what they have mapped: a sample and a loan are out.
    _ = world.tell(subscriber, .unsubscribe(subscription))
    _ = world.tell(publisher, .closePublisher(stream))
    #expect(world.core.ledger.poolUsage.pinned == 64 << 10)
    // Their sockets stay open, held by forked children: only the processes' ends are seen.
    _ = world.die(subscriber)
    _ = world.die(publisher)
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func aSnapshotSumsToTheContribution() throws {
    var world = NodeWorld()
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    _ = try world.lease(client, stream)
    let snapshot = world.inspect(client)
    let pool = try #require(snapshot?.pool)
    #expect(pool.free + pool.leased + pool.sealed + pool.retained + pool.warm + pool.pinned == pool.contribution)
    #expect(pool.leased == 64 << 10)
    #expect(snapshot?.holders.map(\.reason) == [.writes])
  }
}
