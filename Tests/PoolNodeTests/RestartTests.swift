import BusProtocol
import TestSupport
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
    world.rejoin(publisher)
    world.settle()
    #expect(world.core.ledger.poolUsage.sealed > 0)
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

  /// - Parameter loses: the dying node takes messages with it. Then there may be lags, but nothing hangs or leaks.
  @Test(arguments: 1...3, [false, true])
  func nothingIsLostWhateverTheOrder(run: Int, loses: Bool) throws {
    let seed = UInt64.random(in: 0 ... .max)
    var life = RandomRestarts(seed: seed, loses: loses)
    for step in 1...4000 {
      life.step()
      guard life.world.complaints.isEmpty else {
        Issue.record("seed \(seed), step \(step): \(life.world.complaints)")
        return
      }
    }
    life.bringAllBack()
    #expect(life.world.isEverythingRead, "seed \(seed): \(life.world.unread)")
    #expect(life.world.lagged == 0 || loses, "seed \(seed)")
    life.world.end()
    #expect(life.world.complaints == [], "seed \(seed)")
    #expect(life.world.isFree, "seed \(seed): \(life.world.leftovers)")
  }
}

extension RestartWorld {
  /// Everybody hears all that is on its way.
  mutating func settle() {
    var goesOn = true
    while goesOn {
      goesOn = false
      finishCreation()
      for name in clients.keys.sorted() where clients[name]?.inbox.isEmpty == false {
        hear(name)
        goesOn = true
      }
    }
  }

  mutating func publishAll(finishing: Bool = true, only: Int? = nil) {
    for name in clients.keys.sorted() where only == nil || name == only {
      for stream in clients[name]?.publishers.keys.sorted() ?? [] { publish(name, stream) }
    }
    if finishing { settle() }
  }

  /// Everybody reads all that is there.
  mutating func readAll() {
    var goesOn = true
    while goesOn {
      settle()
      goesOn = false
      for name in clients.keys.sorted() {
        for id in clients[name]?.readers.keys.sorted() ?? [] {
          dropBorrowed(name, id)
          for stream in clients[name]?.readers[id]?.cursors.keys.sorted() ?? [] {
            while read(name, id, stream) { goesOn = true }
          }
        }
      }
    }
  }

  /// Everybody closes and goes.
  mutating func end() {
    for name in clients.keys.sorted() { closeAll(name) }
    advance(by: 60_000_000_000)
    settle()
  }

  var published: UInt64 { clients.values.flatMap(\.publishers.values).reduce(0) { $0 + $1.next - 1 } }

  /// What the node still has.
  var leftovers: String {
    "\(core.ledger.poolUsage.total - core.ledger.poolUsage.free) bytes, \(core.streams.count) streams, "
      + "\(core.subscriptions.count) subscriptions, \(core.segments.count) segments, \(core.leases.count) leases, "
      + "\(core.awaitedListeners.count) awaited"
  }

  var isFree: Bool { leftovers == "0 bytes, 0 streams, 0 subscriptions, 0 segments, 0 leases, 0 awaited" }

  /// Where readers of the streams of the living are not at their end.
  var unread: [String] {
    let ends = clients.values.flatMap(\.publishers).reduce(into: [StreamID: UInt64]()) { $0[$1.key] = $1.value.next }
    return clients.values.flatMap(\.readers).flatMap { id, reader in
      reader.cursors.compactMap { stream, cursor in
        guard let end = ends[stream], cursor.expected != end else { return nil }
        return "\(id) is at \(cursor.expected) of \(stream), which is at \(end)"
      }
    }
  }

  var isEverythingRead: Bool { unread.isEmpty }
}

/// Clients that come, go, publish and read, and a node that dies now and then: at random.
private struct RandomRestarts {
  var world = RestartWorld(contribution: 512 << 10)
  private var random: SplitMix64
  /// Whether messages of a dying node are lost.
  private let loses: Bool

  init(seed: UInt64, loses: Bool) {
    random = SplitMix64(seed: seed)
    self.loses = loses
  }

  mutating func step() {
    world.now += UInt64.random(in: 0...100_000, using: &random)
    let names = world.clients.keys.sorted()
    let topics = ["a", "b", "c"]
    guard let name = names.randomElement(using: &random), names.count >= 3 else {
      _ = world.join()
      return
    }
    let client = world.clients[name]
    switch Int.random(in: 0..<200, using: &random) {
    case 0: if names.count < 8, Bool.random(using: &random) { _ = world.join() }
    case 1: if names.count > 4, Int.random(in: 0..<4, using: &random) == 0 { world.kill(name) }
    case 2:
      if client?.publishers.count ?? 0 < 2, client?.id != nil {
        world.ask(name, .publisher(try! TopicName(topics.randomElement(using: &random)!)))
      }
    case 3:
      if client?.readers.count ?? 0 < 2, client?.id != nil {
        world.ask(name, .subscription(try! TopicPattern(["a", "b", "*", "**"].randomElement(using: &random)!)))
      }
    case 4:
      guard Int.random(in: 0..<3, using: &random) == 0 else { break }
      guard loses else {
        world.restart()
        break
      }
      // What the old node had not handed to the kernel yet reaches nobody.
      let salt = random.next()
      world.restart { $0 == 0 ? 0 : Int(salt % UInt64($0 + 1)) }
    case 5..<10: world.rejoin(name)
    case 10..<20: world.finishCreation()
    case 20..<70: for _ in 0..<3 { world.hear(name) }
    case 70..<120:
      if let stream = client?.publishers.keys.sorted().randomElement(using: &random) { world.publish(name, stream) }
    case 120..<190:
      if let id = client?.readers.keys.sorted().randomElement(using: &random),
        let stream = client?.readers[id]?.cursors.keys.sorted().randomElement(using: &random)
      {
        world.read(name, id, stream, borrows: Int.random(in: 0..<4, using: &random) == 0)
      }
    case 190..<198:
      if let id = client?.readers.keys.sorted().randomElement(using: &random) { world.dropBorrowed(name, id) }
    default:
      for name in names where Int.random(in: 0..<3, using: &random) == 0 { world.rejoin(name) }
      world.advance(by: 1000)
    }
  }

  mutating func bringAllBack() {
    for name in world.clients.keys.sorted() { world.rejoin(name) }
    world.readAll()
    world.advance(by: 6_000_000_000)
    world.readAll()
  }
}
