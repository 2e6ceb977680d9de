import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// The node dies and starts anew; its clients return with what they had, in any order.
@Suite struct RestartTests {
  /// A publisher and a subscriber of one topic, each a client of its own.
  private func pair(_ world: inout RestartWorld) throws -> (publisher: Int, subscriber: Int) {
    let (publisher, subscriber) = (world.join(), world.join())
    world.ask(subscriber, .subscription(try TopicPattern("**")))
    world.ask(publisher, .publisher(try TopicName("a")))
    world.settle()
    return (publisher, subscriber)
  }

  @Test(arguments: [true, false])
  func whatWasNotReadIsStillDelivered(publisherReturnsFirst: Bool) throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
    for _ in 0..<40 { world.publishAll() }
    let published = world.published
    #expect(published > 20)
    world.restart()
    for client in publisherReturnsFirst ? [publisher, subscriber] : [subscriber, publisher] { world.rejoin(client) }
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0)
    #expect(world.isEverythingRead && world.published >= published)
    world.end()
    #expect(world.complaints == [] && world.isFree)
  }

  @Test func whatIsPublishedInTheGapIsDelivered() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
    for _ in 0..<3 { world.publishAll() }
    world.restart()
    let before = world.published
    for _ in 0..<20 { world.publishAll(finishing: false) }
    #expect(world.published > before)
    world.readAll()
    world.rejoin(publisher)
    for _ in 0..<20 { world.publishAll() }
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0 && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  @Test func whoJoinsAfterTheRestartMissesNothingFromThereOn() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
    for _ in 0..<7 { world.publishAll() }
    world.restart()
    world.rejoin(publisher)
    let late = world.join()
    world.ask(late, .subscription(try TopicPattern("a")))
    world.settle()
    let first = world.clients[late]?.readers.values.first?.cursors.values.first?.expected
    #expect(first == world.published + 1)
    for _ in 0..<20 { world.publishAll() }
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0 && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  @Test func whoJoinsBeforeThePublisherIsBackIsGivenWhatIsPublishedFromThereOn() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
    // A segment in advance, so that some more can be published without a node.
    for _ in 0..<7 { world.publishAll() }
    world.restart()
    world.publishAll(finishing: false)
    let late = world.join()
    world.ask(late, .subscription(try TopicPattern("a")))
    world.settle()
    let before = world.published
    for _ in 0..<20 { world.publishAll(finishing: false) }
    #expect(world.published > before)
    world.rejoin(publisher)
    world.settle()
    let first = world.clients[late]?.readers.values.first?.cursors.values.first?.expected
    #expect(first == before + 1)
    world.rejoin(subscriber)
    for _ in 0..<20 { world.publishAll() }
    world.readAll()
    #expect(world.complaints == [] && world.lagged == 0 && world.isEverythingRead)
    world.end()
    #expect(world.isFree)
  }

  /// - Parameter isKnown: whether the new node knows that there was one before.
  @Test(arguments: [true, false])
  func whoReturnsLateMissesNothingOfStreamsThatAreNew(isKnown: Bool) throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
    world.restart(isKnown: isKnown)
    let new = world.join()
    world.ask(new, .publisher(try TopicName("b")))
    world.settle()
    for _ in 0..<40 { world.publishAll(only: new) }
    world.rejoin(subscriber)
    world.rejoin(publisher)
    world.settle()
    world.readAll()
    // What nobody was known to want is gone, but not without a word.
    #expect(world.complaints == [] && world.isEverythingRead && (world.lagged == 0) == isKnown)
    world.end()
    #expect(world.isFree)
  }

  @Test func whoIsLateAtTheSecondRestartMissesNothingOfStreamsThatAreNewSinceTheFirst() throws {
    var world = RestartWorld()
    world.now = 60_000_000_000
    let (_, subscriber) = try pair(&world)
    world.restart()
    let new = world.join()
    world.ask(new, .publisher(try TopicName("b")))
    world.settle()
    for _ in 0..<20 { world.publishAll(only: new) }
    world.restart()
    world.rejoin(new)
    for _ in 0..<20 { world.publishAll(only: new) }
    world.rejoin(subscriber)
    world.settle()
    world.readAll()
    #expect(world.complaints == [] && world.isEverythingRead && world.lagged == 0)
    world.advance(by: 6_000_000_000)
    world.end()
    #expect(world.isFree)
  }

  @Test func newStreamsAreNotKeptForEver() throws {
    var world = RestartWorld()
    world.restart()
    let new = world.join()
    world.ask(new, .publisher(try TopicName("b")))
    world.settle()
    for _ in 0..<40 { world.publishAll(only: new) }
    #expect(world.core.ledger.poolUsage.sealed > 0)
    // The books say why, and for how long.
    let books = try #require(world.books(as: new))
    for segment in books.segments where segment.state == .sealed {
      let holders = books.holders.filter { $0.segment == segment.segment && $0.reason != .mapped }
      #expect(holders.map(\.reason) == [.kept] && holders.allSatisfy { $0.client == nil && $0.subscription == nil })
      #expect(holders.allSatisfy { $0.remainingNanoseconds > 0 && $0.remainingNanoseconds <= 5_000_000_000 })
    }
    world.advance(by: 6_000_000_000)
    #expect(world.core.ledger.poolUsage.sealed == 0 && world.complaints == [])
    world.end()
    #expect(world.isFree)
  }

  @Test func whoDoesNotReturnInTimeIsTakenForDead() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
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

  @Test func aStreamWhosePublisherDoesNotReturnEnds() throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try pair(&world)
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
    let (publisher, subscriber) = try pair(&world)
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
    let (publisher, subscriber) = try pair(&world)
    let other = world.join()
    world.ask(other, .subscription(try TopicPattern("a")))
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
    let late = world.join()
    world.ask(late, .subscription(try TopicPattern("a")))
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
    let (publisher, subscriber) = try pair(&world)
    let other = world.join()
    world.ask(other, .subscription(try TopicPattern("a")))
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
    let (publisher, subscriber) = try pair(&world)
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

  @Test func moreThanTheContributionIsTakenInButNotForGood() throws {
    var world = RestartWorld(contribution: 64 << 10)
    let (publisher, subscriber) = try pair(&world)
    for _ in 0..<60 { world.publishAll() }
    world.restart()
    // Somebody leases all there is before the others are back.
    let quick = world.join()
    world.ask(quick, .publisher(try TopicName("b")))
    world.settle()
    for _ in 0..<10 { world.publishAll(only: quick) }
    world.rejoin(publisher)
    world.rejoin(subscriber)
    #expect(world.core.ledger.beyond > 0 && world.core.ledger.isConserved)
    world.settle()
    world.readAll()
    world.settle()
    #expect(world.complaints == [] && world.lagged == 0)
    world.end()
    #expect(world.core.ledger.beyond == 0 && world.isFree)
  }
}
