import Testing
import Vocabulary

@testable import Ledger

/// Publishers and subscriptions come, go and die; topics keep what they were told to keep.
@Suite struct MembershipTests {
  @Test func whoJoinsInMidSegmentIsPromisedIt() throws {
    var world = World(pages: 8)
    let stream = world.publisher("a")
    let open = try world.lease(stream)
    let late = world.subscriber("a")
    #expect(world.handed[late] == [open])
    world.seal(open)
    #expect(world.state(of: open) == .sealed)
    world.release(open, by: late)
    #expect(world.state(of: open) == .warm)
  }

  @Test func aDeadPublishersSegmentEndsAtWhatItHadCommitted() throws {
    var world = World(pages: 8)
    world.unmapsAtOnce = false
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let (used, unused) = (try world.lease(stream), try world.lease(stream))
    world.close(stream, committed: [used: 7], isDead: true)
    #expect(world.sealsTold[used] == 7 && world.ends[subscriber] == [stream])
    #expect(world.state(of: used) == .sealed && world.state(of: unused) == .pinned)
    world.unmap(unused.id, by: .subscription(subscriber))
    world.release(used, by: subscriber)
    world.unmapAll()
    #expect(world.usage.free == world.pages(8))
  }

  @Test func aDeadSubscribersPromisesAreVoid() throws {
    var world = World(pages: 8)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<6).map { _ in try world.publish(stream) }
    world.leave(subscriber, .died)
    #expect(world.usage.sealed == 0 && world.usage.pinned == 0)
    #expect(segments.allSatisfy { world.state(of: $0) != .sealed })
  }

  @Test func whatALeavingSubscriberMayStillReadIsNotWrittenAnew() throws {
    var world = World(pages: 8)
    world.unmapsAtOnce = false
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segment = try world.publish(stream)
    world.leave(subscriber)
    #expect(world.state(of: segment) == .pinned)
    world.unmapAll()
    #expect(world.usage.free == world.pages(8))
  }

  @Test func anObserverIsPromisedNothing() throws {
    var world = World(pages: 8)
    let observer = world.subscriber("a", observes: true)
    let segment = try world.publish(world.publisher("a"))
    #expect(world.handed[observer] == nil && world.state(of: segment) == .warm)
  }

  @Test(arguments: [Retention(messages: 4), Retention(bytes: 2 * World.page)])
  func aTopicKeepsItsLastForLateJoiners(retention: Retention) throws {
    var world = World(pages: 8)
    let stream = world.publisher("a", retention: retention)
    let segments = try (0..<5).map { _ in try world.publish(stream, slots: 2) }
    #expect(world.usage.retained == world.pages(2))
    let late = world.subscriber("a")
    #expect(world.handed[late] == Array(segments[3...]))
    let newOnly = world.subscriber("a", wantsRetained: false)
    #expect(world.handed[newOnly] == nil)
    for segment in segments[3...] { world.release(segment, by: late) }
    #expect(world.usage.retained == world.pages(2))
  }

  /// Who leaves may read on, so that the memory is not written again; but what it holds is kept.
  @Test(arguments: [Departure.closed, .died, .cutOff])
  func whatATopicKeepsOutlivesWhoLeftWhileItHadIt(departure: Departure) throws {
    var world = World(pages: 8)
    let leaving = world.subscriber("a")
    let stream = world.publisher("a", retention: Retention(messages: 1))
    let open = try world.lease(stream)
    world.leave(leaving, departure)
    world.seal(open)
    #expect(world.state(of: open) == .retained)
    let sealed = world.subscriber("a")
    world.leave(sealed, departure)
    #expect(world.state(of: open) == .retained)
    let late = world.subscriber("a")
    #expect(world.handed[late] == [open])
    world.release(open, by: late)
    // The next message takes its place, and it is not written again.
    let next = try world.publish(stream)
    #expect(next.id != open.id && world.state(of: open) == (departure == .died ? .warm : nil))
  }

  @Test func whatIsKeptByAgeGoesWhenItsTimeIsOver() throws {
    var world = World(pages: 8)
    let stream = world.publisher("a", retention: Retention(age: .seconds(1)))
    _ = try world.publish(stream)
    world.advance(by: 600_000_000)
    _ = try world.publish(stream)
    world.advance(by: 400_000_000)
    #expect(world.usage.retained == world.pages(1))
    world.advance(by: 600_000_000)
    #expect(world.usage.retained == 0)
  }

  @Test func retainedMemoryOutlivesItsPublisherAndIsTheFirstToGo() throws {
    var world = World(pages: 4)
    let stream = world.publisher("a", retention: Retention(messages: 100))
    _ = try world.publish(stream, pages: 2)
    world.close(stream, isDead: true)
    #expect(world.usage.retained == world.pages(2))
    _ = try world.lease(world.publisher("b", whenFull: .fail), pages: 4)
    #expect(world.usage.retained == 0)
  }

  @Test func aClosedStreamIsForgottenWithItsLastSegment() throws {
    var world = World(pages: 4)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segment = try world.publish(stream)
    world.close(stream)
    #expect(world.ledger.streamRows.map(\.id) == [stream])
    world.release(segment, by: subscriber)
    #expect(world.ledger.streamRows.isEmpty && world.ledger.topicRows.isEmpty)
  }

  /// Who is not heard any more, but reads on, finds what is written next in all that it has mapped.
  @Test(arguments: [(Departure.closed, 2), (.died, 3), (.cutOff, 0)])
  func whatIsMappedByWhoReadsOnIsNotWrittenAgain(departure: Departure, renewed: Int) throws {
    var world = World(pages: 100)
    world.unmapsAtOnce = false
    let (leaving, staying) = (world.subscriber("a"), world.subscriber("a"))
    let stream = world.publisher("a")
    let segments = try (0..<3).map { _ in try world.publish(stream) }
    // One is warm, one is read by the one that leaves only, one by neither.
    for subscriber in [leaving, staying] { world.release(segments[0], by: subscriber) }
    world.release(segments[1], by: leaving)
    world.leave(leaving, departure)
    for segment in segments { world.release(segment, by: staying) }
    let written = try (0..<3).map { _ in try world.lease(stream) }
    #expect(written.count { $0.epoch > 1 } == renewed)
    world.unmapAll()
    #expect(world.usage.pinned == 0)
  }

  @Test func inventedListenersKeepNobodyOutAndHoldNobodyUp() throws {
    var ledger = Ledger(contribution: 1 << 20)
    func returnStream(_ id: UInt64, _ listeners: [SubscriptionID]) throws {
      _ = try ledger.returnStream(
        StreamID(rawValue: id), client: ClientID(rawValue: 1), topic: try TopicName("a"), whenFull: .fail,
        retention: nil, user: UserID(rawValue: 0), limit: .none, listeners: listeners, awaitedUntil: 10, now: 1)
    }
    try returnStream(1, (1...UInt64(Ledger.maximumAwaited)).map(SubscriptionID.init(rawValue:)))
    // Its own listeners are beyond what can be awaited: it comes back all the same.
    let late = SubscriptionID(rawValue: 1 << 32)
    try returnStream(2, [late])
    #expect(!ledger.isAway(late))
    for case .subscription(let id) in ledger.takeOverdue(now: 10) { _ = ledger.unsubscribe(id, .died, now: 10) }
    #expect(ledger.subscriptionRows.isEmpty && ledger.violations() == [])
  }

  @Test func inventedListenersSendNoReaderAway() throws {
    var ledger = Ledger(contribution: 1 << 20)
    let (stream, reader, topic) = (StreamID(rawValue: 2), SubscriptionID(rawValue: 1 << 32), try TopicName("a"))
    func returnStream(_ id: StreamID, _ listeners: [SubscriptionID]) throws {
      _ = try ledger.returnStream(
        id, client: ClientID(rawValue: 1), topic: topic, whenFull: .fail, retention: nil, user: UserID(rawValue: 0),
        limit: .none, listeners: listeners, awaitedUntil: 10, now: 1)
    }
    try returnStream(StreamID(rawValue: 1), (1...UInt64(Ledger.maximumAwaited)).map(SubscriptionID.init(rawValue:)))
    try ledger.returnSubscription(
      reader, client: ClientID(rawValue: 2), pattern: .everything, observes: false, wantsRetained: false,
      backlog: .none, now: 1)
    try ledger.returnCursor(reader, stream: stream, topic: topic, nextSequence: 7, awaitedUntil: 10, now: 1)
    #expect(!ledger.isAwaited(stream))
    // What it has of the stream is awaited all the same, and where it stands is known when the publisher is back.
    try ledger.expect(stream, provenOf: topic, until: 10)
    #expect(ledger.isAwaited(stream))
    try returnStream(stream, [])
    #expect(ledger.position(of: reader, in: stream) == 7 && ledger.violations() == [])
  }

  @Test func whatADyingPublisherHadPinnedIsFreeThoughItWasReturning() throws {
    var ledger = Ledger(contribution: 1 << 20)
    let stream = StreamID(rawValue: 1)
    let segment = SegmentIdentity(id: SegmentID(rawValue: 2), epoch: 1)
    _ = try ledger.returnStream(
      stream, client: ClientID(rawValue: 1), topic: TopicName("a"), whenFull: .fail, retention: nil,
      user: UserID(rawValue: 0), limit: .none, listeners: [], awaitedUntil: 100, now: 0)
    _ = try ledger.adopt(segment, capacity: 64 << 10, writtenBy: stream, sealedSlots: nil, now: 1)
    _ = ledger.seal(segment.id, LogEnd(epoch: 1, slots: 0), now: 2)
    #expect(ledger.poolUsage.pinned == 64 << 10)
    let actions = ledger.interruptReturn(of: stream, mappingsGone: true, awaitedUntil: 100, now: 3)
    #expect(actions == [.destroy(segment.id)])
    #expect(ledger.poolUsage.pinned == 0 && ledger.violations() == [])
  }
}
