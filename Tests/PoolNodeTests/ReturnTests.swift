import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// What the node does with a single thing that a client returns with, where the model of a restart (`Tests/Model/rejoin.pml`)
/// found it to be wrong.
@Suite struct ReturnTests {
  private let stream = StreamID(rawValue: 9 << 32 | 1)
  private let segment = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 3), epoch: 4)
  private let topic = try! TopicName("a")
  private let grace: UInt64 = 6_000_000_000
  private var world = NodeWorld()

  private func subscription(_ number: UInt64) -> SubscriptionID { SubscriptionID(rawValue: 9 << 32 | (10 + number)) }

  private mutating func offer(_ client: ClientID, _ use: OfferSegment.Use) -> [NodeAction] {
    let offer = OfferSegment(segment: segment, capacity: 8192, stream: stream, use: use)
    if world.contents.renewed[segment.id] == nil { world.contents.renewed[segment.id] = segment.epoch }
    #expect(world.tell(client, .offerSegment(offer)).contains { if case .examine = $0 { true } else { false } })
    return world.examined(offer, from: client, .sound)
  }

  /// A subscriber returns that has read all before a message, and has not said yet that this is all it has.
  private mutating func returnReader(
    _ number: UInt64, at next: UInt64, _ progress: ReadingProgress? = nil
  ) -> (client: ClientID, actions: [NodeAction]) {
    let (client, id) = (world.join(), subscription(number))
    _ = world.tell(client, .rejoinSubscription(.test(id)))
    let cursor = RejoinCursor(subscription: id, stream: stream, topic: topic, nextSequence: next)
    _ = world.tell(client, .rejoinCursor(cursor))
    return (client, progress.map { offer(client, .reading(id, $0)) } ?? [])
  }

  private mutating func returnPublisher(of last: UInt64) -> ClientID {
    let client = world.join()
    _ = world.tell(client, .rejoinPublisher(.test(stream, topic, last: last)))
    return client
  }

  /// What a client is told of the segment and the end of its stream; what it is told twice in a row, once.
  private func told(_ client: ClientID, _ actions: [NodeAction]) -> [String] {
    let told: [String] = actions.compactMap { $0.message(to: client) }.compactMap { message in
      switch message {
      case .segmentHanded(let handed): "handed \(handed.segment.epoch)"
      case .segmentSealed(let sealed): "sealed \(sealed.segment.epoch) at \(sealed.slots)"
      case .forgetSegment(let id, _): id == segment.id ? "forget" : nil
      case .streamEnded: "ended"
      case .lagged(let lagged): "lagged \(lagged.ranges)"
      default: nil
      }
    }
    return told.enumerated().filter { $0.offset == 0 || told[$0.offset - 1] != $0.element }.map(\.element)
  }

  @Test(arguments: [true, false])
  mutating func whatAPublisherHadToldBeforeItDiedWhileItReturnedIsHandedOn(isKilled: Bool) throws {
    world.contents.log[segment] = [1, 2]
    let (early, _) = returnReader(1, at: 1)
    _ = world.tell(early, .rejoinDone)
    let publisher = returnPublisher(of: 2)
    _ = offer(publisher, .writing(isSealed: true))
    let left = isKilled ? world.die(publisher) : world.leave(publisher)
    #expect(told(early, left).isEmpty)
    // Who returns later is asked first.
    let (late, _) = returnReader(2, at: 2)
    _ = world.tell(late, .rejoinDone)
    let givenUp = world.advance(by: grace)
    for reader in [early, late] { #expect(told(reader, givenUp) == ["handed 4", "sealed 4 at 2", "ended"]) }
    for (reader, id) in [(early, subscription(1)), (late, subscription(2))] {
      _ = world.tell(reader, .releaseSegment(segment, by: id))
      _ = world.tell(reader, .segmentUnmapped(segment.id, by: id))
    }
    // What its process may still have mapped is not free before that has ended.
    #expect((world.core.ledger.poolUsage.free == world.core.ledger.contribution) == isKilled)
    let holders = try #require(world.inspect(early)?.holders)
    #expect(holders.map(\.reason) == (isKilled ? [] : [.mapped]) && holders.allSatisfy { $0.client == nil })
    _ = world.die(publisher)
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
    #expect(world.core.ledger.violations() == [])
  }

  /// - Parameter isSeen: whether the publisher had begun another life before the reader returned.
  @Test(arguments: [true, false])
  mutating func aLifeThatADeadPublisherHadBegunByItselfIsHandedToWhoHasItMapped(isSeen: Bool) {
    let (old, next) = (segment, SegmentIdentity(id: segment.id, epoch: segment.epoch + 1))
    let begin = { (world: inout NodeWorld) in
      world.contents.renewed[next.id] = next.epoch
      world.contents.log[old] = nil
      world.contents.log[next] = [3, 4]
    }
    world.contents.log[segment] = [1, 2]
    if isSeen { begin(&world) }
    let (reader, _) = returnReader(1, at: 3, .released)
    let (other, _) = returnReader(2, at: 3)
    for client in [reader, other] { _ = world.tell(client, .rejoinDone) }
    if !isSeen { begin(&world) }
    let givenUp = world.advance(by: grace)
    for client in [reader, other] { #expect(told(client, givenUp) == ["handed 5", "sealed 5 at 2", "ended"]) }
    #expect(world.core.ledger.violations() == [])
  }

  /// Which life it is stands in the memory: another would end what honest readers were promised.
  @Test mutating func whoSpeaksOfALaterLifeThanThereIsIsNotBelieved() {
    world.contents.log[segment] = [1, 2]
    let (reader, _) = returnReader(1, at: 1, .unread)
    _ = world.tell(reader, .rejoinDone)
    let (liar, _) = returnReader(2, at: 1)
    let later = OfferSegment(
      segment: SegmentIdentity(id: segment.id, epoch: .max), capacity: 8192, stream: stream,
      use: .reading(subscription(2), .unread))
    #expect(world.examined(later, from: liar, .sound).refusal(to: liar) == nil)
    _ = world.tell(liar, .rejoinDone)
    #expect(world.core.ledger.promisedSegments(of: stream, to: subscription(1)) == [segment])
    #expect(told(reader, world.advance(by: grace)) == ["sealed 4 at 2", "ended"])
    #expect(world.core.ledger.violations() == [])
  }

  @Test mutating func whoHasReadOneLifeIsStillPromisedTheNext() {
    let next = SegmentIdentity(id: segment.id, epoch: segment.epoch + 1)
    world.contents.renewed[segment.id] = next.epoch
    world.contents.log[next] = [3, 4]
    let publisher = world.join()
    _ = world.tell(publisher, .rejoinPublisher(.test(stream, topic, last: 4, listeners: [subscription(1)])))
    let written = OfferSegment(segment: next, capacity: 8192, stream: stream, use: .writing(isSealed: true))
    _ = world.tell(publisher, .offerSegment(written))
    _ = world.examined(written, from: publisher, .sound)
    _ = world.tell(publisher, .rejoinDone)
    let (reader, offered) = returnReader(1, at: 3, .released)
    #expect(told(reader, offered + world.tell(reader, .rejoinDone)) == ["handed 5", "sealed 5 at 2"])
  }

  @Test mutating func whoHasReadAStreamToItsEndIsNotGivenItAgainWhenOthersReturnWithIt() throws {
    world.contents.log[segment] = [1, 2]
    world.contents.times[segment] = [1_000, 1_000]
    let fresh = world.join()
    let id = try world.subscribe(fresh, "**")
    let publisher = returnPublisher(of: 2)
    _ = offer(publisher, .writing(isSealed: true))
    #expect(told(fresh, world.tell(publisher, .rejoinDone)) == ["handed 4", "sealed 4 at 2"])
    #expect(told(fresh, world.tell(publisher, .closePublisher(stream))) == ["sealed 4 at 2", "ended"])
    _ = world.tell(publisher, .segmentUnmapped(segment.id, by: nil))
    _ = world.tell(fresh, .releaseSegment(segment, by: id))
    _ = world.tell(fresh, .segmentUnmapped(segment.id, by: id))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)

    let (late, _) = returnReader(1, at: 1, .unread)
    _ = world.tell(late, .rejoinDone)
    let givenUp = world.advance(by: grace)
    #expect(told(late, givenUp) == ["sealed 4 at 2", "ended"])
    #expect(told(fresh, givenUp).isEmpty)
  }

  @Test mutating func whoComesLateWithWhatAllAreToLetGoIsToldSo() {
    world.contents.log[segment] = [1, 2]
    let (early, _) = returnReader(1, at: 3, .released)
    _ = world.tell(early, .rejoinDone)
    let publisher = returnPublisher(of: 2)
    _ = offer(publisher, .writing(isSealed: true))
    #expect(told(early, world.tell(publisher, .rejoinDone)) == ["forget"])
    let (late, offered) = returnReader(2, at: 3, .released)
    #expect(told(late, offered) == ["forget"])
    for (reader, number) in [(early, UInt64(1)), (late, 2)] {
      _ = world.tell(reader, .segmentUnmapped(segment.id, by: subscription(number)))
    }
    _ = world.tell(publisher, .segmentUnmapped(segment.id, by: nil))
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }
}
