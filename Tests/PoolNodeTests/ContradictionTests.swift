import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// Clients that contradict each other about what they had of the node before: nobody is harmed by what another says.
@Suite struct ContradictionTests {
  private let stream = StreamID(rawValue: 9 << 32 | 1)
  private let other = StreamID(rawValue: 9 << 32 | 4)
  private let liars = SubscriptionID(rawValue: 9 << 32 | 2)
  private let honest = SubscriptionID(rawValue: 9 << 32 | 8)
  private let segment = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 3), epoch: 4)
  private let topic = try! TopicName("a")
  private let wrong = try! TopicName("x")
  private var world = NodeWorld()

  init() { world.contents.renewed[segment.id] = segment.epoch }

  private func offer(_ use: OfferSegment.Use, capacity: UInt64 = 8192, of stream: StreamID? = nil) -> OfferSegment {
    OfferSegment(segment: segment, capacity: capacity, stream: stream ?? self.stream, use: use)
  }

  private mutating func tellCursor(
    _ client: ClientID, _ id: SubscriptionID, _ topic: TopicName? = nil, of stream: StreamID? = nil, next: UInt64 = 1
  ) -> [NodeAction] {
    let cursor = RejoinCursor(
      subscription: id, stream: stream ?? self.stream, topic: topic ?? self.topic, nextSequence: next)
    return world.tell(client, .rejoinCursor(cursor))
  }

  /// A subscriber returns, and says where it is in a stream.
  private mutating func returnReader(
    _ id: SubscriptionID, _ pattern: String = "**", _ topic: TopicName? = nil, of stream: StreamID? = nil,
    next: UInt64 = 1
  ) -> ClientID {
    let client = world.join()
    _ = world.tell(client, .rejoinSubscription(.test(id, pattern)))
    #expect(tellCursor(client, id, topic, of: stream, next: next).isEmpty)
    return client
  }

  private mutating func returnPublisher(last: UInt64 = 0) -> ClientID {
    let client = world.join()
    #expect(world.tell(client, .rejoinPublisher(.test(stream, topic, last: last))).refusal(to: client) == nil)
    return client
  }

  private func expectSentAway(_ client: ClientID, _ actions: [NodeAction], _ word: String) {
    #expect(actions.contains { $0.isDisconnect(of: client) }, "\(actions)")
    #expect(actions.refusal(to: client)?.message.contains(word) == true, "\(actions)")
    #expect(world.core.ledger.violations() == [])
  }

  // MARK: - About memory

  @Test mutating func ofTwoMemoriesThePublishersCounts() {
    let liar = returnReader(liars)
    #expect(world.examined(offer(.reading(liars, .unread)), from: liar, .sound).isEmpty)
    // Of two readers, who knows: the second is not believed, and not harmed.
    let reader = returnReader(honest)
    #expect(world.examined(offer(.reading(honest, .unread)), from: reader, .differs).isEmpty)

    let publisher = returnPublisher()
    let own = offer(.writing(isSealed: false))
    #expect(
      world.tell(publisher, .offerSegment(own)) == [.examine(own, of: topic, from: publisher, overrules: true)])
    #expect(world.examined(own, from: publisher, .sound).isEmpty)
    // From then on the publisher's is known, and who has other memory lies.
    let late = SubscriptionID(rawValue: 9 << 32 | 9)
    _ = world.tell(liar, .rejoinSubscription(.test(late)))
    expectSentAway(liar, world.examined(offer(.reading(late, .unread)), from: liar, .differs), "other memory")
  }

  @Test(arguments: [true, false])
  mutating func aPublisherOverrulesWhatReadersSayOfItsSegment(isOfAnotherStream: Bool) {
    let forged =
      isOfAnotherStream
      ? offer(.reading(liars, .unread), of: other) : offer(.reading(liars, .unread), capacity: 65_536)
    let liar = returnReader(liars, of: forged.stream)
    #expect(world.examined(forged, from: liar, .sound).isEmpty)
    let publisher = returnPublisher()
    let own = offer(.writing(isSealed: false))
    #expect(
      world.tell(publisher, .offerSegment(own)) == [.examine(own, of: topic, from: publisher, overrules: true)])
    #expect(world.examined(own, from: publisher, .sound).isEmpty)
    #expect(world.core.ledger.segmentRows.map(\.capacity) == [8192] && world.core.ledger.poolUsage.leased == 8192)
    #expect(world.core.segments[segment.id]?.stream == stream && world.core.streams[stream]?.segmentCount == 1)
    #expect(world.core.ledger.violations() == [])
    for client in [liar, publisher] { _ = world.die(client) }
    _ = world.advance(by: 6_000_000_000)
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution && world.core.streams.isEmpty)
  }

  @Test mutating func whomALiarContradictsAboutASegmentIsNotSentAway() {
    let (liar, reader) = (returnReader(liars, of: other), returnReader(honest))
    #expect(world.examined(offer(.reading(liars, .unread), of: other), from: liar, .sound).isEmpty)
    #expect(world.tell(reader, .offerSegment(offer(.reading(honest, .unread)))).isEmpty)
    #expect(world.core.ledger.violations() == [])
  }

  // MARK: - About topics

  /// A liar that comes first neither keeps the publisher out nor has honest readers sent away.
  @Test mutating func ofTwoTopicsThePublishersCounts() {
    _ = returnReader(liars, "**", wrong)
    let reader = returnReader(honest, "a", next: 2)
    _ = world.tell(reader, .rejoinDone)

    let publisher = returnPublisher(last: 2)
    world.contents.log[segment] = [1, 2]
    _ = world.examined(offer(.writing(isSealed: true)), from: publisher, .sound)
    let back = world.tell(publisher, .rejoinDone)
    #expect(back.introductions(to: reader).map(\.topic) == [topic])
    #expect(back.introductions(to: reader).map(\.firstSequence) == [2])
    #expect(back.contains { $0.message(to: reader)?.isHanding == true })
    #expect(world.core.ledger.topicRows.map(\.name) == [topic] && world.core.ledger.violations() == [])
  }

  /// Each client's memory is looked at as of the topic that it has spoken of itself; what is sound counts.
  @Test mutating func memorySaysOfWhichTopicAStreamIs() {
    world.contents.log[segment] = [1, 2]
    let (liar, reader) = (returnReader(liars, "**", wrong), returnReader(honest, "a"))
    let (forged, read) = (offer(.reading(liars, .unread)), offer(.reading(honest, .unread)))
    #expect(world.tell(liar, .offerSegment(forged)) == [.examine(forged, of: wrong, from: liar, overrules: false)])
    #expect(world.tell(reader, .offerSegment(read)) == [.examine(read, of: topic, from: reader, overrules: false)])
    #expect(world.examined(read, from: reader, .sound).isEmpty)
    #expect(world.core.ledger.topicRows.map(\.name) == [topic] && world.core.streams[stream]?.topic == topic)

    _ = world.tell(reader, .rejoinDone)
    let publisher = returnPublisher(last: 2)
    let back = world.tell(publisher, .rejoinDone)
    #expect(back.introductions(to: reader).map(\.topic) == [topic])
    #expect(world.core.subscriptions[honest]?.told == [:] && world.core.ledger.violations() == [])
  }

  /// Who knows which of the two lies. It reads on what it has.
  @Test mutating func whoContradictsAPublisherIsNotSentAway() {
    let publisher = returnPublisher()
    _ = world.examined(offer(.writing(isSealed: false)), from: publisher, .sound)
    let reader = returnReader(honest, "**", wrong)
    #expect(tellCursor(reader, honest, of: other).isEmpty)
    for contradiction in [
      offer(.reading(honest, .unread), capacity: 16_384), offer(.reading(honest, .unread), of: other),
    ] {
      #expect(world.tell(reader, .offerSegment(contradiction)).isEmpty)
    }
    let next = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 5), epoch: 1)
    let unknown = OfferSegment(segment: next, capacity: 8192, stream: stream, use: .reading(honest, .unread))
    #expect(
      world.tell(reader, .offerSegment(unknown)) == [.examine(unknown, of: wrong, from: reader, overrules: false)])
    #expect(world.examined(unknown, of: wrong, from: reader, .sound) == [.destroy(next.id)])
    #expect(Array(world.core.segments.keys) == [segment.id] && world.core.streams[stream]?.topic == topic)
    #expect(world.core.ledger.violations() == [])
  }

  @Test mutating func whoContradictsItselfIsSentAway() {
    let reader = world.join()
    _ = world.tell(reader, .rejoinSubscription(.test(honest, "a")))
    expectSentAway(reader, tellCursor(reader, honest, wrong), "or this client itself")
  }

  /// A reader is so slow to return that the stream is given up between its cursor and its segment.
  @Test mutating func whatIsOfferedOfAStreamThatIsForgottenMeanwhileIsOnTheBooks() {
    world.contents.log[segment] = [1, 2]
    let reader = returnReader(honest)
    _ = world.advance(by: 6_000_000_000)
    #expect(world.core.streams.isEmpty && world.core.ledger.streamRows.isEmpty)
    let read = offer(.reading(honest, .unread))
    #expect(world.tell(reader, .offerSegment(read)) == [.examine(read, of: topic, from: reader, overrules: false)])
    #expect(world.examined(read, from: reader, .sound).isEmpty)
    #expect(Array(world.core.segments.keys) == [segment.id] && world.core.ledger.poolUsage.leased == 8192)
    #expect(world.core.streams[stream]?.topic == topic && world.core.ledger.isAwaited(stream))

    _ = world.tell(reader, .rejoinDone)
    let givenUp = world.advance(by: 6_000_000_000)
    #expect(givenUp.contains { if case .segmentSealed? = $0.message(to: reader) { true } else { false } })
    _ = world.tell(reader, .releaseSegment(segment, by: honest))
    _ = world.tell(reader, .segmentUnmapped(segment.id, by: honest))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution && world.core.streams.isEmpty)
    #expect(world.core.ledger.violations() == [])
  }
}
