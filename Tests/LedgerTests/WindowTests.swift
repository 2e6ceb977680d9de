import Testing
import Vocabulary

@testable import Ledger

/// How far ahead of its reading a subscription is handed segments.
@Suite struct WindowTests {
  private let window = Ledger.Limits.handedWindow

  @Test func whoDoesNotReadIsHandedAWindowOnly() throws {
    var world = World(pages: 1_000)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<10).map { _ in try world.publish(stream) }
    #expect(world.handed[subscriber] == Array(segments[..<window]))
    world.release(segments[0], by: subscriber)
    #expect(world.handed[subscriber] == Array(segments[...window]))
  }

  @Test func whoHasReadASegmentButBorrowsFromItReadsOn() throws {
    var world = World(pages: 1_000)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let segments = try (0..<10).map { _ in try world.publish(stream) }
    for segment in segments {
      world.pass(segment, by: subscriber)
      world.pass(segment, by: subscriber)
    }
    #expect(world.handed[subscriber] == segments)
    #expect(world.usage.sealed == world.pages(10))
    for segment in segments { world.release(segment, by: subscriber) }
    #expect(world.usage.sealed == 0)
  }

  @Test func aLargeSegmentWaitsUntilWhatCameBeforeItIsRead() throws {
    var world = World(pages: 100)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let small = try world.publish(stream)
    let large = try world.publish(stream, pages: 40)
    #expect(world.handed[subscriber] == [small])
    world.release(small, by: subscriber)
    #expect(world.handed[subscriber] == [small, large])
  }

  @Test func segmentsThatAreOpenTogetherKeepNoneOfThemBack() throws {
    var world = World(pages: 100)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    let open = try [40, 30, 1, 20, 1, 1, 1].map { try world.lease(stream, pages: $0) }
    #expect(world.handed[subscriber] == open)
    // Complete, but the next was leased before: its messages may come before this one's.
    for segment in open.dropLast() { world.seal(segment) }
    #expect(world.handed[subscriber] == open)
  }

  @Test func whatWasTakenCountsUntilTheSubscriptionAnswers() throws {
    var world = World(pages: 8)
    world.unmapsAtOnce = false
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a", whenFull: .evictOldest)
    let segments = try (0..<8).map { _ in try world.publish(stream) }
    // A quarter of the pool.
    #expect(world.handed[subscriber] == Array(segments[..<2]))
    _ = world.ask(stream, pages: 4)
    #expect(world.lagged[subscriber] == Array(segments[..<4]))
    #expect(world.handed[subscriber] == Array(segments[..<2]))
    world.unmapAll()
    #expect(world.handed[subscriber] == Array(segments[..<2] + segments[4..<6]))
  }

  @Test func aLeaseThatFailsKeepsNothingBack() throws {
    var world = World(pages: 100)
    let subscriber = world.subscriber("a")
    let stream = world.publisher("a")
    var ledger = world.ledger
    // The node is still making the first segment when the second is ready.
    let first = ledger.requestLease(1_000, stream: stream, capacity: 4096, now: 2)
    let second = ledger.requestLease(1_001, stream: stream, capacity: 8192, now: 2)
    guard case .create(let slow, _, _, _) = first.first, case .create(let quick, _, _, _) = second.first else {
      Issue.record("\(first) \(second)")
      return
    }
    #expect(ledger.segmentReady(SegmentIdentity(id: quick, epoch: 1), now: 2) == [])
    let actions = ledger.creationFailed(slow, lease: 1_000, now: 2)
    #expect(
      actions.contains(
        .hand(SegmentIdentity(id: quick, epoch: 1), to: subscriber, stream: stream, warm: false)))
  }

  /// What a subscription has mapped from an earlier life it reads as soon as it is written: before it is handed.
  @Test(arguments: [false, true]) func whatIsMappedButNotHandedYetIsNotRecycledWhenItIsTaken(leaves: Bool) throws {
    var world = World(pages: 1_000)
    world.unmapsAtOnce = false
    let subscriber = world.subscriber("a", backlog: BacklogLimit(messages: UInt64(window)))
    let stream = world.publisher("a")
    let first = try world.publish(stream, pages: 8)
    world.release(first, by: subscriber)
    let unread = try (0..<window).map { _ in try world.publish(stream) }
    let again = try world.publish(stream, pages: 8)
    #expect(again == SegmentIdentity(id: first.id, epoch: 2))
    #expect(world.handed[subscriber] == [first] + unread)
    if leaves {
      world.leave(subscriber)
    } else {
      while world.lagged[subscriber]?.contains(again) != true { _ = try world.publish(stream) }
      #expect(world.handed[subscriber]?.contains(again) == false)
    }
    #expect(world.asked.contains { $0 == (again.id, .subscription(subscriber)) })
    #expect(try world.publish(stream, pages: 8).id != first.id)
    world.unmapAll()
    #expect(world.state(of: again) == nil)
  }
}
