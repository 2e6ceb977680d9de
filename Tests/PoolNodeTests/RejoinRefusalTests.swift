import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// Clients that lie about what they had of the node before: they are sent away, and nobody else is harmed.
@Suite struct RejoinRefusalTests {
  private let stream = StreamID(rawValue: 9 << 32 | 1)
  private let subscription = SubscriptionID(rawValue: 9 << 32 | 2)
  private let segment = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 3), epoch: 4)
  private let topic = try! TopicName("a")

  private func offer(
    _ segment: SegmentIdentity, _ use: OfferSegment.Use, capacity: UInt64 = 8192, stream: StreamID? = nil
  ) -> OfferSegment {
    OfferSegment(segment: segment, capacity: capacity, stream: stream ?? self.stream, use: use)
  }

  private func expectSentAway(_ client: ClientID, _ actions: [NodeAction], _ word: String) {
    #expect(actions.contains { $0.isDisconnect(of: client) }, "\(actions)")
    #expect(actions.refusal(to: client)?.message.contains(word) == true, "\(actions)")
  }

  @Test func idsOfThePresentLifeAreNobodysToBringBack() throws {
    var world = NodeWorld()
    let (owner, thief) = (world.join(), world.join())
    let own = try world.openPublisher(owner, "a")
    let reader = try world.subscribe(owner, "a")
    expectSentAway(thief, world.tell(thief, .rejoinPublisher(.test(own, topic))), "in this life")
    expectSentAway(thief, world.tell(thief, .rejoinSubscription(.test(reader))), "in this life")
    let lease = try world.lease(owner, own)
    _ = world.tell(thief, .rejoinPublisher(.test(stream, topic)))
    expectSentAway(thief, world.tell(thief, .offerSegment(offer(lease, .writing(isSealed: false)))), "in this life")
    #expect(world.core.ledger.violations() == [])
  }

  @Test func whatAnotherHasBroughtBackIsItsOwn() {
    var world = NodeWorld()
    let (owner, thief) = (world.join(), world.join())
    #expect(
      world.tell(owner, .rejoinPublisher(.test(stream, topic)))
        == [.send(.quota(stream, bytes: 1 << 20), to: owner)])
    #expect(world.tell(owner, .rejoinSubscription(.test(subscription))) == [.keepWakePage(subscription)])
    for message: ClientMessage in [
      .rejoinPublisher(.test(stream, topic)), .rejoinSubscription(.test(subscription)),
      .rejoinCursor(RejoinCursor(subscription: subscription, stream: stream, topic: topic, nextSequence: 1)),
      .offerSegment(offer(segment, .writing(isSealed: true))),
      .offerSegment(offer(segment, .reading(subscription, .unread))),
    ] {
      var copy = world
      expectSentAway(thief, copy.tell(thief, message), "can't be taken back")
      #expect(copy.core.ledger.violations() == [] && copy.core.clients[owner]?.streams == [stream])
    }
  }

  @Test func nothingIsBroughtBackAfterRejoinDone() {
    var world = NodeWorld()
    let client = world.join()
    #expect(world.tell(client, .rejoinDone).isEmpty)
    expectSentAway(client, world.tell(client, .rejoinPublisher(.test(stream, topic))), "RejoinDone")
  }

  @Test func memoryThatIsNoSegmentIsNotTaken() {
    var world = NodeWorld()
    let client = world.join()
    _ = world.tell(client, .rejoinPublisher(.test(stream, topic)))
    let offered = offer(segment, .writing(isSealed: true))
    #expect(
      world.tell(client, .offerSegment(offered)) == [.examine(offered, of: topic, from: client, overrules: false)])
    expectSentAway(client, world.examined(offered, from: client, .unsound("it is a pipe")), "it is a pipe")
    #expect(world.core.segments.isEmpty && world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func nobodyBringsBackMoreThanItMayHave() {
    for limits in [ClientLimits(publishers: 2, subscriptions: 100), ClientLimits(publishers: 100, subscriptions: 2)] {
      var world = NodeWorld { $0.clientLimits = limits }
      let client = world.join()
      let answers = (0..<3).map { (number: UInt64) in
        let message: ClientMessage =
          limits.publishers == 2
          ? .rejoinPublisher(.test(StreamID(rawValue: 9 << 32 | 20 + number), topic))
          : .rejoinSubscription(.test(SubscriptionID(rawValue: 9 << 32 | 20 + number)))
        return world.tell(client, message)
      }
      #expect(answers[..<2].allSatisfy { $0.refusal(to: client) == nil })
      expectSentAway(client, answers[2], "a client can have 2")
    }
    for quota in [UserQuota(subscriptions: 2), UserQuota(descriptors: 2 * 2 + 2)] {
      var world = NodeWorld { $0.userQuotas = [UserQuotaRule(principals: [.everyone], quota: quota)] }
      let (first, second) = (world.join(), world.join())
      for (client, number) in [(first, UInt64(1)), (second, 2)] {
        let id = SubscriptionID(rawValue: 9 << 32 | 20 + number)
        #expect(world.tell(client, .rejoinSubscription(.test(id))).refusal(to: client) == nil)
      }
      expectSentAway(second, world.tell(second, .rejoinSubscription(.test(subscription))), "user 0")
    }
  }

  @Test func aSubscriptionComesBackFromNoMoreStreamsThanItMay() {
    var world = NodeWorld { $0.clientLimits.cursors = 2 }
    let client = world.join()
    _ = world.tell(client, .rejoinSubscription(.test(subscription)))
    let answers = (0..<3).map { (number: UInt64) in
      let cursor = RejoinCursor(
        subscription: subscription, stream: StreamID(rawValue: 9 << 32 | 20 + number), topic: topic, nextSequence: 1)
      return world.tell(client, .rejoinCursor(cursor))
    }
    #expect(answers[..<2].allSatisfy { $0.isEmpty })
    expectSentAway(client, answers[2], "can come back from 2 streams")
  }

  /// A client is cut off, another goes on with what it had; then the first one's process ends.
  @Test func whatIsAnothersByNowIsNotFreedWithWhoHadIt() {
    var world = NodeWorld()
    let (former, present) = (world.join(), world.join())
    for client in [former, present] {
      #expect(world.tell(client, .rejoinPublisher(.test(stream, topic))).refusal(to: client) == nil)
      #expect(world.tell(client, .rejoinSubscription(.test(subscription))).refusal(to: client) == nil)
      guard client == former else { continue }
      // Something that it maps keeps it on the books.
      let kept = StreamID(rawValue: 9 << 32 | 4)
      _ = world.tell(client, .rejoinPublisher(.test(kept, topic)))
      _ = world.examined(offer(segment, .writing(isSealed: false), stream: kept), from: client, .sound)
      _ = world.leave(client)
    }
    let other = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 5), epoch: 1)
    for use in [OfferSegment.Use.writing(isSealed: false), .reading(subscription, .unread)] {
      #expect(world.examined(offer(other, use), from: present, .sound).refusal(to: present) == nil)
    }
    _ = world.tell(present, .rejoinDone)
    _ = world.die(former)
    #expect(world.core.ledger.mappings(of: .publisher(stream)) == [other.id])
    #expect(world.core.ledger.mappings(of: .subscription(subscription)) == [other.id])
    #expect(world.core.subscriptions[subscription]?.client == present)
    #expect(world.core.ledger.violations() == [])
  }

  @Test func whoIsAwaitedIsNotUnsubscribedByAnother() {
    var world = NodeWorld { $0.followsAnother = true }
    let (publisher, liar) = (world.join(), world.join())
    _ = world.tell(publisher, .rejoinPublisher(.test(stream, topic, listeners: [subscription])))
    for awaited in [subscription, .anybody] {
      #expect(world.tell(liar, .unsubscribe(awaited)).isEmpty)
      #expect(world.core.ledger.isAwaited(awaited))
    }
    #expect(world.core.awaitedListeners.keys.contains(subscription))
  }

  @Test func whoIsBackIsAwaitedByNobody() {
    var world = NodeWorld()
    let (publisher, reader) = (world.join(), world.join())
    _ = world.tell(reader, .rejoinSubscription(.test(subscription)))
    _ = world.tell(publisher, .rejoinPublisher(.test(stream, topic, listeners: [subscription])))
    #expect(world.core.awaitedListeners.isEmpty)
  }

  @Test func nobodyMakesThePoolArbitrarilyLarge() {
    var world = NodeWorld(contribution: 1 << 20)
    let client = world.join()
    _ = world.tell(client, .rejoinPublisher(.test(stream, topic)))
    var refused: [NodeAction] = []
    for number in UInt64(0)..<5 where refused.isEmpty {
      let id = SegmentIdentity(id: SegmentID(rawValue: 9 << 32 | 100 + number), epoch: 1)
      refused = world.examined(offer(id, .writing(isSealed: false), capacity: 512 << 10), from: client, .sound)
    }
    expectSentAway(client, refused, "more than this node can take in")
    #expect(world.core.ledger.beyond == 1 << 20 && world.core.ledger.violations() == [])
    _ = world.die(client)
    // Others may have more of it.
    _ = world.advance(by: 6_000_000_000)
    #expect(world.core.ledger.beyond == 0 && world.core.ledger.poolUsage.free == 1 << 20)
  }
}
