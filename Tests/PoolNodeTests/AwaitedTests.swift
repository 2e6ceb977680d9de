import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// The node dies and starts anew; some of its clients come back late, or not at all.
@Suite struct AwaitedTests {
  @Test func whoDoesNotReturnInTimeIsTakenForDead() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<40 { world.publishAll() }
    world.restart()
    let id = try #require(world.clients[subscriber]?.readers.keys.first)
    let witness = world.join()
    world.settle()
    world.rejoin(publisher)
    world.settle()
    #expect(world.core.ledger.poolUsage.sealed > 0)
    let books = try #require(world.books(as: witness))
    for segment in books.segments where segment.state == .sealed {
      let holders = books.holders.filter { $0.segment == segment.segment && $0.subscription == id }
      #expect(holders.map(\.reason) == [.awaited] && holders.allSatisfy { $0.client == nil })
    }
    world.kill(witness)
    world.advance(by: 6_000_000_000)
    world.settle()
    // Only what the publisher writes to is left.
    #expect(world.core.ledger.poolUsage.sealed == 0 && world.core.awaitedListeners.isEmpty)
    #expect(world.clients[publisher]?.publishers.values.first?.listeners == [])
    for _ in 0..<40 { world.publishAll() }
    // Late, it reads what it still has mapped, is told what it has missed, and goes on.
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.lagged > 0 && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  @Test func whatOthersSayOfASubscriptionThatIsAwaitedHasNoEffect() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<40 { world.publishAll() }
    world.restart()
    let id = try #require(world.clients[subscriber]?.readers.keys.first)
    let stranger = world.join()
    world.rejoin(publisher)
    for segment in world.core.ledger.segmentRows.map(\.identity) {
      world.tell(stranger, .segmentPassed(segment, by: id))
      world.tell(stranger, .releaseSegment(segment, by: id))
      world.tell(stranger, .segmentUnmapped(segment.id, by: id))
    }
    world.tell(stranger, .unsubscribe(id))
    #expect(world.core.ledger.isAwaited(id) && world.core.ledger.poolUsage.sealed > 0)
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0 && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  @Test func aStreamWhosePublisherDoesNotReturnEnds() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<4 { world.publishAll() }
    world.restart()
    world.kill(publisher)
    world.rejoin(subscriber)
    world.readAll()
    world.advance(by: 6_000_000_000)
    world.settle()
    world.readAll()
    #expect(world.clients[subscriber]?.readers.values.allSatisfy { $0.cursors.isEmpty } == true)
    #expect(world.complaints == [] && world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func whatReadersHaveOfAPublisherThatIsAwaitedIsHeldByIt() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<12 { world.publishAll() }
    world.restart()
    world.rejoin(subscriber)
    world.settle()
    let books = try #require(world.books(as: subscriber))
    #expect(!books.segments.isEmpty)
    for segment in books.segments {
      let holders = books.holders.filter { $0.segment == segment.segment && $0.client == nil }
      #expect(holders.map(\.reason) == [.awaited] && holders.allSatisfy { $0.subscription == nil })
    }
    world.rejoin(publisher)
    world.settle()
    #expect(world.books(as: subscriber)?.holders.allSatisfy { $0.reason != .awaited } == true)
    world.readAll()
    #expect(world.complaints == [] && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  @Test func whatOneReaderHasOfADeadPublisherIsHandedToTheOthers() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    let other = try world.join(subscribingTo: "a")
    world.settle()
    for _ in 0..<3 { world.publishAll() }
    world.readAll()
    // The node dies while it hands the next segments: only one of the two is reached.
    for _ in 0..<20 {
      world.publishAll(finishing: false)
      world.finishCreation()
      for name in [publisher, subscriber] { while world.clients[name]?.inbox.isEmpty == false { world.hear(name) } }
    }
    let published = world.published
    world.restart { _ in 0 }
    world.kill(publisher)
    _ = try world.join(subscribingTo: "a")
    world.rejoin(other)
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    func position(_ name: Int) -> UInt64? {
      world.clients[name]?.readers.values.first?.cursors.values.first?.expected
    }
    #expect(position(subscriber) == published + 1)
    #expect(position(other).map { $0 <= published } == true)
    world.advance(by: 6_000_000_000)
    world.settle()
    #expect(world.clients[other]?.readers.values.first?.cursors.values.first?.open.isEmpty == false)
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0)
    #expect(world.clients.values.flatMap(\.readers.values).allSatisfy { $0.cursors.isEmpty })
    #expect(world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func whoHasReadADeadPublishersStreamToItsEndIsNotGivenItAgain() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    let other = try world.join(subscribingTo: "a")
    world.settle()
    for _ in 0..<20 { world.publishAll() }
    world.kill(publisher)
    // One reads to the end, the other nothing.
    let id = try #require(world.clients[subscriber]?.readers.keys.first)
    let stream = try #require(world.clients[subscriber]?.readers[id]?.cursors.keys.first)
    while world.clients[subscriber]?.readers[id]?.cursors[stream] != nil {
      world.settle()
      guard world.read(subscriber, id, stream) else { break }
    }
    #expect(world.clients[subscriber]?.readers[id]?.cursors.isEmpty == true)
    world.restart()
    world.rejoin(subscriber)
    world.rejoin(other)
    world.advance(by: 6_000_000_000)
    world.settle()
    #expect(world.clients[subscriber]?.readers[id]?.cursors.isEmpty == true)
    world.readAll()
    #expect(world.complaints == [] && world.core.ledger.poolUsage.free == world.core.ledger.contribution)
  }

  @Test func whoHasReadAStreamToTheEndThatANodeGaveItIsNotGivenItAgainByTheNext() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<7 { world.publishAll() }
    world.restart()
    world.rejoin(subscriber)
    // The publisher is away for too long, and comes back when yet another node is there.
    world.advance(by: 6_000_000_000)
    world.readAll()
    let id = try #require(world.clients[subscriber]?.readers.keys.first)
    #expect(world.clients[subscriber]?.readers[id]?.over.values.first?.mayReturn == true)
    world.restart()
    for name in [subscriber, publisher] { world.rejoin(name) }
    world.settle()
    for _ in 0..<20 { world.publishAll() }
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0 && world.isEverythingRead)
    #expect(world.clients[subscriber]?.readers[id]?.cursors.values.first?.expected == world.published + 1)
    world.end()
    #expect(world.isFree)
  }

  /// Only a publisher that was seen to end, or has said that it is over, can not come back.
  @Test func theEndOfAStreamSaysWhetherItMayGoOn() throws {
    enum End: CaseIterable { case closes, dies, leaves }
    for end in End.allCases {
      var world = NodeWorld()
      let (publisher, subscriber) = (world.join(), world.join())
      let stream = try world.openPublisher(publisher, "a")
      _ = try world.subscribe(subscriber, "a")
      let actions =
        switch end {
        case .closes: world.tell(publisher, .closePublisher(stream))
        case .dies: world.die(publisher)
        case .leaves: world.leave(publisher)
        }
      let told = actions.compactMap { action -> Bool? in
        if case .streamEnded(let ended)? = action.message(to: subscriber) { ended.mayReturn } else { nil }
      }
      #expect(told == [end == .leaves], "\(end)")
    }
  }
}
