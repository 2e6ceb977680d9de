import Testing
import Vocabulary

@testable import Ledger

/// What happens when there is no memory for a lease.
@Suite struct FullPoolTests {
  private let second: UInt64 = 1_000_000_000

  @Test func aWaitingLeaseIsGrantedWhenMemoryComesBack() throws {
    var world = World(pages: 2)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segment = try world.publish(stream, pages: 2)
    let lease = world.ask(stream, pages: 2)
    #expect(world.granted[lease] == nil && world.refused[lease] == nil)
    world.release(segment, by: subscriber)
    #expect(world.granted[lease] != nil)
  }

  @Test func aWaitEndsAtItsTimeout() throws {
    var world = World(pages: 2)
    _ = world.subscriber("a")
    let stream = world.publisher("a", whenFull: .wait(timeout: .seconds(2)))
    _ = try world.publish(stream, pages: 2)
    let lease = world.ask(stream, pages: 2)
    world.advance(by: 2 * second - 1)
    #expect(world.refused[lease] == nil && world.ledger.nextDeadline == world.now + 1)
    world.advance(by: 1)
    guard case .poolExhausted = world.refused[lease] else {
      Issue.record("\(String(describing: world.refused[lease]))")
      return
    }
  }

  @Test func aRefusalSaysWhoHoldsThePool() throws {
    var world = World(pages: 4)
    let slow = world.subscriber("a")
    let stream = world.publisher("a", whenFull: .fail)
    _ = try world.publish(stream, pages: 3)
    let lease = world.ask(stream, pages: 2)
    guard case .poolExhausted(let report) = world.refused[lease] else {
      Issue.record("\(String(describing: world.refused[lease]))")
      return
    }
    #expect(report.asked == world.pages(2) && report.limit == .pool(bytes: world.pages(4)))
    #expect(report.shares.map(\.stream) == [stream] && report.shares[0].awaited == [slow])
  }

  @Test func whatCanNeverFitIsRefusedAtOnceWhateverThePolicy() {
    var world = World(pages: 4)
    let stream = world.publisher("a")
    let lease = world.ask(stream, pages: 5)
    #expect(world.refused[lease] == .tooLarge(limit: world.pages(4)))
  }

  /// A publisher of a larger node's may ask for more than there ever is.
  @Test func whereThereIsLessASmallerSegmentWillDo() {
    var world = World(pages: 5)
    let stream = world.publisher("a")
    let lease = world.ask(stream, pages: 8, minimum: 2)
    #expect(world.granted[lease] != nil && world.usage.leased == world.pages(4))
    let ahead = world.ask(stream, pages: 8, minimum: 2, isAhead: true)
    #expect(world.refused[ahead] == .tooLarge(limit: world.pages(5)))
    let large = world.ask(stream, pages: 8, minimum: 6)
    #expect(world.refused[large] == .tooLarge(limit: world.pages(5)))
  }

  @Test func evictOldestTakesItsOwnTopicsOldestAndNoMoreThanItNeeds() throws {
    var world = World(pages: 6)
    let (a, b) = (world.subscriber("a"), world.subscriber("b"))
    let other = world.publisher("b")
    let kept = try world.publish(other, pages: 2)
    let stream = world.publisher("a", whenFull: .evictOldest)
    let segments = try (0..<4).map { _ in try world.publish(stream) }
    _ = try world.lease(stream, pages: 2)
    #expect(world.lagged[a] == Array(segments[..<2]))
    #expect(world.lagged[b] == nil && world.state(of: kept) == .sealed)
  }

  @Test func evictOldestFailsWhenAllIsOthers() throws {
    var world = World(pages: 4)
    _ = world.subscriber("**")
    _ = try world.publish(world.publisher("b"), pages: 4)
    let lease = world.ask(world.publisher("a", whenFull: .evictOldest))
    guard case .poolExhausted = world.refused[lease] else {
      Issue.record("\(String(describing: world.refused[lease]))")
      return
    }
  }

  @Test func aLeaseAheadNeitherEvictsNorWaits() throws {
    var world = World(pages: 2)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a", whenFull: .evictOldest)
    _ = try world.publish(stream, pages: 2)
    let lease = world.ask(stream, isAhead: true)
    #expect(world.lagged[subscriber] == nil)
    // Nobody reads who holds the memory: it is not found out.
    guard case .poolExhausted(let report) = world.refused[lease] else {
      Issue.record("\(String(describing: world.refused[lease]))")
      return
    }
    #expect(report.shares == [])
  }

  @Test func aLeaseAheadIsAskedBackForOneThatWaits() throws {
    var world = World(pages: 4)
    let stream = world.publisher("a")
    _ = try world.lease(stream)
    let ahead = try world.lease(stream, pages: 3)
    let waiting = world.ask(world.publisher("b"), pages: 2)
    #expect(world.askedBack == [stream] && world.granted[waiting] == nil)
    world.seal(ahead, slots: 0)
    #expect(world.granted[waiting] != nil)
  }

  @Test func whatIsLeasedIsAskedBackWhenWhatIsOnItsWayDoesNotCome() throws {
    var world = World(pages: 4)
    world.unmapsAtOnce = false
    _ = try world.publish(world.publisher("a"))
    let idle = world.publisher("b")
    _ = try world.lease(idle, pages: 2)
    let lease = world.ask(world.publisher("c"), pages: 2)
    #expect(world.granted[lease] == nil && world.askedBack == [])
    let grace = try #require(world.ledger.nextDeadline)
    world.advance(by: grace - world.now)
    #expect(world.askedBack == [idle])
  }

  @Test func aQuotaBoundsItsTopicAndKeepsNobodyElseBack() throws {
    var world = World(pages: 8, quotas: [TopicQuota(pattern: try TopicPattern("a/*"), bytes: 2 * World.page)])
    _ = world.subscriber("**")
    let bounded = world.publisher("a/b")
    _ = try world.publish(bounded, pages: 2)
    let lease = world.ask(bounded)
    #expect(world.granted[lease] == nil)
    _ = try world.lease(world.publisher("b"), pages: 6)
    let large = world.ask(bounded, pages: 3)
    #expect(world.refused[large] == .tooLarge(limit: world.pages(2)))
  }

  /// Who waits at its own quota waits for what it has itself: all others go on as in an empty pool.
  @Test func whoWaitsAtItsQuotaTakesNothingFromOthers() throws {
    var world = World(pages: 100, quotas: [TopicQuota(pattern: try TopicPattern("a"), bytes: 2 * World.page)])
    let subscriber = world.subscriber("**")
    let (bounded, other) = (world.publisher("a"), world.publisher("b"))
    let held = [try world.lease(bounded), try world.publish(bounded)]
    let open = try world.lease(other)
    let lease = world.ask(bounded)
    #expect(world.askedBack == [bounded] && world.granted[lease] == nil)
    #expect(world.ledger.isWanted(bounded) && !world.ledger.isWanted(other))
    world.seal(open)
    world.release(open, by: subscriber)
    #expect(world.state(of: open) == .warm)
    world.release(held[1], by: subscriber)
    #expect(world.granted[lease] != nil && !world.ledger.isWanted(bounded))
  }

  @Test func aLargeLeaseIsNotStarvedBySmallOnes() throws {
    var world = World(pages: 4)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<4).map { _ in try world.publish(stream) }
    let large = world.ask(world.publisher("b"), pages: 3)
    let small = world.ask(world.publisher("c"))
    for segment in segments[..<2] { world.release(segment, by: subscriber) }
    #expect(world.granted[large] == nil && world.granted[small] == nil)
    for segment in segments[2...] { world.release(segment, by: subscriber) }
    #expect(world.granted[large] != nil && world.granted[small] != nil)
  }

  @Test(arguments: [FullPolicy.wait(timeout: nil), .fail, .evictOldest])
  func whileMemoryIsShortASmallerSegmentWillDo(policy: FullPolicy) throws {
    var world = World(pages: 10)
    let subscriber = world.subscriber("**")
    _ = try world.publish(world.publisher("a"), pages: 2)
    let stream = world.publisher("a", whenFull: policy)
    _ = try world.lease(world.publisher("b"), pages: 3)
    let lease = world.ask(stream, pages: 8, minimum: 2)
    // Four of the five pages that are free, and nobody loses anything for more.
    #expect(world.granted[lease] != nil && world.usage.free == world.pages(1) && world.lagged[subscriber] == nil)
  }

  @Test func whoDoesNotWaitIsToldSoAlsoBehindOneThatWaits() throws {
    var world = World(pages: 4)
    let subscriber = world.subscriber("a")
    let segment = try world.publish(world.publisher("a"), pages: 4)
    let patient = world.ask(world.publisher("b"), pages: 3)
    let failing = world.ask(world.publisher("c", whenFull: .fail))
    let ahead = world.ask(world.publisher("d"), isAhead: true)
    #expect(world.refused[patient] == nil && world.refused[failing] != nil && world.refused[ahead] != nil)

    let shortly = world.ask(world.publisher("e", whenFull: .wait(timeout: .seconds(2))))
    world.advance(by: 2 * second - 1)
    #expect(world.refused[shortly] == nil)
    world.advance(by: 1)
    #expect(world.refused[shortly] != nil)
    // Nothing is due any more: a deadline in the past would let the node spin.
    #expect(world.ledger.nextDeadline == nil)
    world.release(segment, by: subscriber)
    #expect(world.granted[patient] != nil)
  }

  @Test(arguments: [BacklogLimit(messages: 5), BacklogLimit(bytes: 2 * World.page)])
  func aSubscriptionBeyondItsBacklogLagsAloneAndKeepsTheNewest(limit: BacklogLimit) throws {
    var world = World(pages: 100)
    let bounded = world.subscriber("a", backlog: limit)
    let patient = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<4).map { _ in try world.publish(stream, slots: 2) }
    #expect(world.lagged[bounded] == Array(segments[..<2]))
    #expect(world.lagged[patient] == nil)
    // A single message beyond the limit is not taken from it.
    _ = try world.publish(stream, pages: 3, slots: 100)
    #expect(world.lagged[bounded] == segments)
  }

  @Test func aLeaseThatIsGivenUpIsNotGranted() throws {
    var world = World(pages: 2)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segment = try world.publish(stream, pages: 2)
    let lease = world.ask(stream, pages: 2)
    world.cancel(lease)
    #expect(world.refused[lease] == .cancelled)
    world.release(segment, by: subscriber)
    #expect(world.granted[lease] == nil && world.usage.leased == 0)
    // One that was granted stands.
    let granted = world.ask(stream)
    world.cancel(granted)
    #expect(world.refused[granted] == nil && world.usage.leased > 0)
  }
}
