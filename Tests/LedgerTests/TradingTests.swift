import Testing
import Vocabulary

@testable import Ledger

/// A publisher that evicts stands behind a lease that waits.
@Suite struct TradingTests {
  /// A pool of 8 pages in which a subscription holds 4 of its topic and 4 of another, and somebody waits for 3.
  private struct Line {
    var world: World
    let subscriber: SubscriptionID
    let evicting: StreamID
    let own: [SegmentIdentity]
    let others: [SegmentIdentity]
    let ahead: UInt64

    init() throws {
      var world = World(pages: 8)
      subscriber = world.subscriber("**")
      let evicting = world.publisher("a", whenFull: .evictOldest)
      own = try (0..<4).map { _ in try world.publish(evicting) }
      let other = world.publisher("b")
      others = try (0..<4).map { _ in try world.publish(other) }
      ahead = world.ask(world.publisher("c"), pages: 3)
      self.evicting = evicting
      self.world = world
    }
  }

  @Test func whoEvictsDoesNotWaitBehindWhoWaits() throws {
    var line = try Line()
    for turn in 0..<3 {
      let lease = line.world.ask(line.evicting)
      let segment = try #require(line.world.granted[lease])
      #expect(line.world.lagged[line.subscriber] == Array(line.own[...turn]) && line.world.usage.free == 0)
      line.world.seal(segment)
    }
    #expect(line.world.granted[line.ahead] == nil)
  }

  @Test(arguments: [true, false]) func whoWaitsAheadIsNotStarved(unmapsAtOnce: Bool) throws {
    var line = try Line()
    line.world.unmapsAtOnce = unmapsAtOnce
    for released in line.others[..<3] {
      #expect(line.world.granted[line.ahead] == nil)
      // As much is written as is evicted, again and again, and what others give back is not for it.
      for _ in 0..<5 {
        let lease = line.world.ask(line.evicting)
        line.world.unmapAll()
        line.world.seal(try #require(line.world.granted[lease]))
      }
      line.world.release(released, by: line.subscriber)
      line.world.unmapAll()
    }
    #expect(line.world.granted[line.ahead] != nil && line.world.usage.free == 0)
  }

  @Test func whatItTookIsItsOwnWhenItComesBack() throws {
    var line = try Line()
    line.world.unmapsAtOnce = false
    let lease = line.world.ask(line.evicting, pages: 3)
    #expect(line.world.granted[lease] == nil && line.world.lagged[line.subscriber] == Array(line.own[..<3]))
    // Nothing more is taken while that is on its way.
    line.world.advance(by: 1)
    #expect(line.world.lagged[line.subscriber] == Array(line.own[..<3]))
    line.world.unmapAll()
    #expect(line.world.granted[lease] != nil && line.world.granted[line.ahead] == nil)
  }

  @Test func whatItTookAndStaysMappedIsNotWaitedForForEver() throws {
    var line = try Line()
    line.world.unmapsAtOnce = false
    let lease = line.world.ask(line.evicting)
    #expect(line.world.lagged[line.subscriber] == [line.own[0]])
    let grace = try #require(line.world.ledger.nextDeadline)
    line.world.advance(by: grace - line.world.now - 1)
    #expect(line.world.lagged[line.subscriber] == [line.own[0]])
    // The one that has the first segment mapped is stopped; of the next one nobody is.
    line.world.advance(by: 1)
    #expect(line.world.lagged[line.subscriber] == Array(line.own[..<2]) && line.world.granted[lease] == nil)
    for holder in [Holder.publisher(line.evicting), .subscription(line.subscriber)] {
      line.world.unmap(line.own[1].id, by: holder)
    }
    #expect(line.world.granted[lease] != nil && line.world.granted[line.ahead] == nil)
    line.world.unmapAll()
    #expect(line.world.usage.pinned == 0)
  }

  @Test func whoIsAheadMayHaveEnoughWithAPartAndThenMoreIsTaken() throws {
    var line = try Line()
    line.world.unmapsAtOnce = false
    line.world.release(line.others[0], by: line.subscriber)
    line.world.release(line.others[1], by: line.subscriber)
    line.world.unmapAll()
    #expect(line.world.usage.free == 2 * World.page)
    let lease = line.world.ask(line.evicting, pages: 2)
    #expect(line.world.lagged[line.subscriber] == Array(line.own[..<2]))
    line.world.unmapAll()
    #expect(line.world.granted[line.ahead] != nil && line.world.granted[lease] != nil)
    #expect(line.world.lagged[line.subscriber] == Array(line.own[..<3]))
  }

  @Test func ofOneTopicOneTradesAfterTheOther() throws {
    var line = try Line()
    line.world.unmapsAtOnce = false
    let (first, second) = (line.world.ask(line.evicting), line.world.ask(line.evicting))
    #expect(line.world.lagged[line.subscriber] == [line.own[0]])
    line.world.unmapAll()
    #expect(line.world.granted[first] != nil && line.world.lagged[line.subscriber] == Array(line.own[..<2]))
    line.world.unmapAll()
    #expect(line.world.granted[second] != nil && line.world.granted[line.ahead] == nil)
  }

  @Test func whoHasNothingToGiveWaitsLikeTheOthers() throws {
    var line = try Line()
    let lease = line.world.ask(line.world.publisher("d", whenFull: .evictOldest))
    #expect(line.world.granted[lease] == nil && line.world.refused[lease] == nil)
    line.world.leave(line.subscriber)
    #expect(line.world.granted[line.ahead] != nil && line.world.granted[lease] != nil)
  }

  @Test func aTradeThatIsGivenUpLeavesTheMemoryToOthers() throws {
    var line = try Line()
    line.world.unmapsAtOnce = false
    let lease = line.world.ask(line.evicting, pages: 3)
    line.world.cancel(lease)
    line.world.unmapAll()
    #expect(line.world.granted[lease] == nil && line.world.granted[line.ahead] != nil)
  }
}
