import HandleTransport
import Testing

@testable import PoolBus

/// Who sees handles only.
@Suite struct ObserverTests {
  /// So many of the handles that come next; fewer if there are no more.
  private func take(_ count: Int, of observer: HandleObserver) async -> [HandleObserver.Observed] {
    var taken: [HandleObserver.Observed] = []
    for await observed in observer.handles {
      taken.append(observed)
      if taken.count == count { break }
    }
    return taken
  }

  /// Four times the pool: what an observer held, the publisher would wait for.
  @Test(.timeLimit(.minutes(1))) func seesEachHandleInOrderAndHoldsNothing() async throws {
    try await withBus(contribution: 256 << 10) { bus in
      let observer = try await bus.observer(of: "camera/*")
      let publisher = try await bus.publisher(for: "camera/front")
      let other = try await bus.publisher(for: "lidar")
      // By its answer, the node has introduced them.
      _ = try await bus.inspect()
      try await other.publish(copying: [1])
      for number in 1...50 { try await publisher.publish(copying: [UInt8](repeating: 1, count: 20_000 + number)) }
      let seen = await take(50, of: observer)
      #expect(seen.map(\.handle.sequence) == Array(1...50))
      #expect(seen.map(\.handle.byteCount) == (1...50).map { 20_000 + $0 })
      #expect(seen.allSatisfy { $0.topic.text == "camera/front" && $0.handle.stream == publisher.stream })

      let books = try await bus.inspect()
      #expect(books.subscriptions.map(\.observes) == [true] && books.subscriptions.map(\.backlogBytes) == [0])
      #expect(books.pool.sealed == 0 && books.holders.allSatisfy { $0.subscription == nil })
    }
  }

  @Test(.timeLimit(.minutes(1))) func aBatchHasOneHandleForItsLastMessage() async throws {
    try await withBus { bus in
      let observer = try await bus.observer(of: "a")
      let publisher = try await bus.publisher(for: "a")
      _ = try await bus.inspect()
      let batch = try await publisher.loanBatch(count: 100, byteCount: 8)
      try batch.publish()
      try await publisher.publish(copying: [1])
      #expect(await take(2, of: observer).map(\.handle.sequence) == [100, 101])
    }
  }

  @Test(.timeLimit(.minutes(1))) func handlesEndWhenItIsClosed() async throws {
    try await withBus { bus in
      let observer = try await bus.observer(of: "a")
      let watching = Task { await take(.max, of: observer).count }
      observer.close()
      #expect(await watching.value == 0)
    }
  }

  @Test(.timeLimit(.minutes(1))) func goesOnWithTheNextNode() async throws {
    let place = Place()
    try place.startNode()
    let (sending, observing) = (try await place.join(), try await place.join())
    let observer = try await observing.observer(of: "a")
    let publisher = try await sending.publisher(for: "a")
    func publish(expecting sequence: UInt64) async throws {
      // By the first answers the node has heard all that both had to say, by the second they have been told of each other.
      for bus in [sending, observing, sending, observing] { _ = try await bus.inspect() }
      try await publisher.publish(copying: [1])
      let seen = await take(1, of: observer)
      #expect(seen.map(\.handle.sequence) == [sequence] && seen.map(\.handle.stream) == [publisher.stream])
    }
    try await publish(expecting: 1)
    try await place.restartNode()
    try await publish(expecting: 2)
    try await place.end()
  }
}
