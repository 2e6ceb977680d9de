import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// The node dies and starts anew; its clients return with what they had, in any order.
@Suite struct RestartTests {
  @Test(arguments: [true, false])
  func whatWasNotReadIsStillDelivered(publisherReturnsFirst: Bool) throws {
    var world = RestartWorld()
    let (publisher, subscriber) = try world.pair()
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
    let (publisher, subscriber) = try world.pair()
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
    let (publisher, subscriber) = try world.pair()
    for _ in 0..<7 { world.publishAll() }
    world.restart()
    world.rejoin(publisher)
    let late = try world.join(subscribingTo: "a")
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
    let (publisher, subscriber) = try world.pair()
    // A segment in advance, so that some more can be published without a node.
    for _ in 0..<7 { world.publishAll() }
    world.restart()
    world.publishAll(finishing: false)
    let late = try world.join(subscribingTo: "a")
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
    let (publisher, subscriber) = try world.pair()
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
    let (_, subscriber) = try world.pair()
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

  @Test func moreThanTheContributionIsTakenInButNotForGood() throws {
    var world = RestartWorld(contribution: 64 << 10)
    let (publisher, subscriber) = try world.pair()
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
