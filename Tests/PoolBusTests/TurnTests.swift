import Testing

@testable import PoolBus

@Suite("Whose turn it is among a subscription's streams")
struct TurnTests {
  @Test(
    "A busy stream is read in ever longer turns while the others have nothing, and in short ones as soon as one has",
    .timeLimit(.minutes(1)))
  func turnsGrowWhileOthersAreIdle() async throws {
    try await withBus { bus in
      let (busy, idle) = (try await bus.publisher(for: "busy"), try await bus.publisher(for: "idle"))
      let subscriber = try await bus.subscriber(to: "*")
      /// The topics of the next messages.
      func take(_ count: Int) throws -> [String] {
        var topics: [String] = []
        while topics.count < count, let sample = try subscriber.tryNext() { topics.append(sample.topic.text) }
        return topics
      }
      for _ in 0..<4_000 { try await busy.publish(copying: "one of many") }
      // From here on both are known, and idle is.
      try await idle.publish(copying: "the only one")
      while try await next(from: subscriber) != "idle" {}
      #expect(try take(1_500) == Array(repeating: "busy", count: 1_500))
      #expect(subscriber.core.state.withLock { $0.turnLength } == SubscriptionCore.longestTurn)

      for _ in 0..<200 { try await idle.publish(copying: "not idle any more") }
      let before = try take(SubscriptionCore.longestTurn + 1)
      let first = try #require(before.firstIndex(of: "idle"))
      let then = before[first...] + (try take(2 * SubscriptionCore.shortestTurn))
      #expect(then.prefix(SubscriptionCore.shortestTurn).allSatisfy { $0 == "idle" })
      #expect(
        then.dropFirst(SubscriptionCore.shortestTurn).prefix(SubscriptionCore.shortestTurn).allSatisfy { $0 == "busy" })
    }
  }

  @Test("The end is not told before all is read, whichever streams end first", arguments: [false, true])
  func nothingIsMissedBehindAStreamThatEnds(isTurnOver: Bool) throws {
    let (quiet, ended, unread) = (try TestStream(), try endedStream(), try unreadStream())
    var state = SubscriptionCore.State()
    state.ended = .nodeLost
    if isTurnOver {
      state.cursors = [ended, unread, quiet.cursor]
      (state.turn, state.patrol) = (1, 1)
    } else {
      state.cursors = [quiet.cursor, ended, unread]
    }
    let message = try state.search(1, others: .max, isTurnOver: isTurnOver)
    #expect(message?.slot.sequence == 1)
    #expect(throws: BusError.nodeLost) { try state.search(1, others: .max, isTurnOver: false)?.count }
  }

  private func endedStream() throws -> StreamCursor {
    var stream = try TestStream()
    stream.cursor.end()
    return stream.cursor
  }

  private func unreadStream() throws -> StreamCursor {
    var stream = try TestStream()
    stream.publish(in: try stream.lease())
    return stream.cursor
  }

  private func next(from subscriber: Subscriber) async throws -> String? {
    guard let sample = try await subscriber.next() else { return nil }
    return sample.topic.text
  }
}
