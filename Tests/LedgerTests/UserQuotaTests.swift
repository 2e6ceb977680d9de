import Testing
import Vocabulary

@testable import Ledger

/// What a user's publishers hold, all together, is bounded; beyond it each behaves as its policy says.
@Suite struct UserQuotaTests {
  private let camera: UInt32 = 1000

  @Test func aFullQuotaIsAsAFullPool() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(4))
    let first = world.publisher("a", whenFull: .fail, user: camera, limit: limit)
    let second = world.publisher("b", whenFull: .fail, user: camera, limit: limit)
    let other = world.publisher("a", whenFull: .fail, user: 1001)
    _ = try world.lease(first, pages: 3)
    _ = try world.lease(second, pages: 1)
    let asked = world.ask(second)
    guard case .poolExhausted(let report)? = world.refused[asked] else {
      Issue.record("it was \(String(describing: world.refused[asked]))")
      return
    }
    #expect(report.limit == .user(UserID(rawValue: camera), bytes: world.pages(4)))
    #expect(Set(report.shares.map(\.stream)) == [first, second])
    // Others are not concerned.
    _ = try world.lease(other, pages: 50)
  }

  @Test func whatCanNeverBeIsSaidAtOnce() {
    var world = World(pages: 100)
    let stream = world.publisher("a", user: camera, limit: UserLimit(bytes: world.pages(4)))
    let asked = world.ask(stream, pages: 5)
    #expect(world.refused[asked] == .tooLarge(limit: world.pages(4)))
  }

  @Test func segmentsAreCountedToo() throws {
    var world = World(pages: 100)
    let stream = world.publisher("a", whenFull: .fail, user: camera, limit: UserLimit(segments: 2))
    let subscriber = world.subscriber("a")
    let segment = try world.publish(stream)
    _ = try world.publish(stream)
    let asked = world.ask(stream)
    guard case .poolExhausted(let report)? = world.refused[asked] else {
      Issue.record("it was \(String(describing: world.refused[asked]))")
      return
    }
    #expect(report.limit == .segments(of: UserID(rawValue: camera), count: 2))
    world.release(segment, by: subscriber)
    // Recycled, or made anew.
    _ = try world.lease(stream)
  }

  @Test func whoWaitsGetsWhatItsOwnUserGivesBackAndKeepsNobodyBack() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(4))
    let first = world.publisher("a", user: camera, limit: limit)
    let second = world.publisher("b", user: camera, limit: limit)
    let other = world.publisher("b", user: 1001)
    let subscriber = world.subscriber("a")
    let segment = try world.publish(first, pages: 4)
    let waiting = world.ask(second, pages: 2)
    #expect(world.granted[waiting] == nil && world.refused[waiting] == nil)
    _ = try world.lease(other, pages: 50)
    world.release(segment, by: subscriber)
    #expect(world.granted[waiting] != nil)
  }

  @Test func aLargeLeaseIsNotStarvedBySmallOnesOfItsUser() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(4))
    let stream = world.publisher("a", user: camera, limit: limit)
    let other = world.publisher("b", user: camera, limit: limit)
    let subscriber = world.subscriber("a")
    let segments = try (0..<4).map { _ in try world.publish(stream) }
    let large = world.ask(other, pages: 3)
    let small = world.ask(other)
    let failing = world.ask(world.publisher("c", whenFull: .fail, user: camera, limit: limit))
    guard case .poolExhausted(let report)? = world.refused[failing] else {
      Issue.record("it was \(String(describing: world.refused[failing]))")
      return
    }
    #expect(report.limit == .user(UserID(rawValue: camera), bytes: world.pages(4)))
    for segment in segments[..<2] { world.release(segment, by: subscriber) }
    #expect(world.granted[large] == nil && world.granted[small] == nil)
    for segment in segments[2...] { world.release(segment, by: subscriber) }
    #expect(world.granted[large] != nil && world.granted[small] != nil)
  }

  @Test func whoEvictsBehindOneThatWaitsTakesOnlyItsUsers() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(4))
    let mine = world.publisher("shared", whenFull: .evictOldest, user: camera, limit: limit)
    let subscriber = world.subscriber("shared")
    let theirs = try world.publish(world.publisher("shared", user: 1001), pages: 4)
    let oldest = try world.publish(mine, pages: 2)
    _ = try world.publish(mine, pages: 2)
    let ahead = world.ask(world.publisher("b", user: camera, limit: limit), pages: 3)
    let evicting = world.ask(mine, pages: 2)
    #expect(world.granted[ahead] == nil && world.granted[evicting] != nil)
    #expect(world.lagged[subscriber] == [oldest] && world.state(of: theirs) == .sealed)
  }

  @Test func evictingTakesOnlyWhatHelps() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(4))
    let mine = world.publisher("shared", whenFull: .evictOldest, user: camera, limit: limit)
    let others = world.publisher("shared", user: 1001)
    let subscriber = world.subscriber("shared")
    let theirs = try world.publish(others, pages: 4)
    let oldest = try world.publish(mine, pages: 2)
    let newest = try world.publish(mine, pages: 2)
    _ = try world.lease(mine, pages: 2)
    #expect(world.lagged[subscriber] == [oldest])
    #expect(world.state(of: theirs) == .sealed && world.state(of: newest) == .sealed)
  }

  @Test func warmAndRetainedMemoryOfTheUserGoesFirst() throws {
    var world = World(pages: 100)
    let limit = UserLimit(bytes: world.pages(6))
    let retaining = world.publisher("r", retention: Retention(messages: 1), user: camera, limit: limit)
    let foreign = world.publisher("f", retention: Retention(messages: 1), user: 1001)
    let kept = try world.publish(foreign, pages: 2)
    _ = try world.publish(retaining, pages: 2)
    let warm = world.publisher("w", user: camera, limit: limit)
    _ = try world.publish(warm, pages: 3)
    let stream = world.publisher("s", whenFull: .fail, user: camera, limit: limit)
    _ = try world.lease(stream, pages: 6)
    #expect(world.state(of: kept) == .retained)
  }

  @Test func aTopicsQuotaAndAUsersAreKeptTogether() throws {
    let quota = TopicQuota(pattern: try TopicPattern("t"), bytes: 4 * World.page)
    var world = World(pages: 100, quotas: [quota])
    let limit = UserLimit(bytes: world.pages(5))
    let elsewhere = world.publisher("e", retention: Retention(messages: 1), user: camera, limit: limit)
    let retained = try world.publish(elsewhere, pages: 2)
    let stream = world.publisher("t", whenFull: .evictOldest, user: camera, limit: limit)
    let subscriber = world.subscriber("t")
    let oldest = try world.publish(stream, pages: 3)
    // Both are short: the topic's oldest goes, and what is only retained elsewhere.
    _ = try world.lease(stream, pages: 4)
    #expect(world.lagged[subscriber] == [oldest])
    #expect(world.state(of: retained) == nil)
  }

  @Test func theAccountEndsWithTheUsersLastSegment() throws {
    var world = World(pages: 100)
    let stream = world.publisher("a", user: camera, limit: UserLimit(bytes: world.pages(4)))
    let subscriber = world.subscriber("a")
    let segment = try world.publish(stream, pages: 4)
    world.close(stream)
    // A further publisher of the user finds its quota used up by what outlived the first.
    let next = world.publisher("a", whenFull: .fail, user: camera, limit: .none)
    let asked = world.ask(next)
    #expect(world.granted[asked] == nil)
    world.release(segment, by: subscriber)
    _ = try world.lease(next, pages: 4)
  }
}
