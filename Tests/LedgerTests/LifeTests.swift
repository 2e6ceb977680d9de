import Testing
import Vocabulary

@testable import Ledger

/// The life of a segment: leased, sealed, released by all, used again.
@Suite struct LifeTests {
  @Test func aSegmentThatAllHaveReleasedIsRecycledWarmUnderANewEpoch() throws {
    var world = World(pages: 4)
    let (a, b) = (world.subscriber("a"), world.subscriber("**"))
    let stream = world.publisher("a")
    let first = try world.publish(stream)
    world.release(first, by: a)
    #expect(world.state(of: first) == .sealed)
    world.release(first, by: b)
    #expect(world.state(of: first) == .warm)
    let second = try world.lease(stream)
    #expect(second.id == first.id && second.epoch == first.epoch + 1 && world.warmGrants == 1)
    #expect(world.usage.free == world.pages(3))
  }

  @Test func aSegmentThatNobodyIsPromisedIsReclaimedAsItIsSealed() throws {
    var world = World(pages: 4)
    let stream = world.publisher("a")
    let segment = try world.publish(stream)
    #expect(world.state(of: segment) == .warm)
  }

  @Test func anEmptySegmentIsTakenBackWithoutARelease() throws {
    var world = World(pages: 4)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segment = try world.lease(stream)
    world.seal(segment, slots: 0)
    #expect(world.usage.free == world.pages(4))
    #expect(world.sealsTold[segment] == 0 && world.handed[subscriber] == [segment])
  }

  @Test func aReleaseOfAnotherLifeHasNoEffect() throws {
    var world = World(pages: 4)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let first = try world.publish(stream)
    world.release(first, by: subscriber)
    let second = try world.publish(stream)
    #expect(second.id == first.id)
    world.release(first, by: subscriber)
    #expect(world.state(of: second) == .sealed)
    world.release(second, by: subscriber)
    world.release(second, by: subscriber)
    #expect(world.state(of: second) == .warm)
  }

  @Test func aReleaseByWhomItWasNotHandedToHasNoEffect() throws {
    var world = World(pages: 4)
    _ = world.subscriber("a")
    let other = world.subscriber("b")
    let stream = world.publisher("a")
    let segment = try world.publish(stream)
    world.release(segment, by: other)
    #expect(world.state(of: segment) == .sealed)
  }

  @Test func nothingIsWrittenAnewWhileAnEvictedReaderMayReadIt() throws {
    var world = World(pages: 2)
    world.unmapsAtOnce = false
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a", whenFull: .evictOldest)
    let first = try world.publish(stream, pages: 2)
    let wanted = world.ask(stream, pages: 2)
    #expect(world.lagged[subscriber] == [first] && world.state(of: first) == .pinned)
    #expect(world.granted[wanted] == nil)
    world.unmap(first.id, by: .publisher(stream))
    #expect(world.granted[wanted] == nil)
    world.unmap(first.id, by: .subscription(subscriber))
    #expect(try #require(world.granted[wanted]).id != first.id)
  }

  @Test func warmMemoryOfOneStreamServesAnotherWhenThePoolIsShort() throws {
    var world = World(pages: 2)
    let a = world.publisher("a")
    _ = try world.publish(a, pages: 2)
    #expect(world.usage.warm == world.pages(2))
    _ = try world.lease(world.publisher("b"), pages: 2)
    #expect(world.usage.leased == world.pages(2))
  }

  @Test func aStreamKeepsAFewSegmentsWarmOnly() throws {
    var world = World(pages: 64)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<10).map { _ in try world.publish(stream) }
    for segment in segments { world.release(segment, by: subscriber) }
    #expect(world.usage.warm == world.pages(UInt64(Ledger.Limits.warmSegmentsPerStream)))
    #expect(world.usage.sealed == 0)
  }

  @Test func whatIsMuchTooLargeIsNotRecycledForASmallLease() throws {
    var world = World(pages: 64)
    let stream = world.publisher("a")
    let large = try world.publish(stream, pages: 32)
    let small = try world.lease(stream, pages: 2)
    #expect(small.id != large.id)
  }
}
