import Testing

@testable import PoolBus

/// How a subscriber waits: what it finds, where its tasks run, and what ends it.
@Suite struct WaitingTests {
  @Test(.timeLimit(.minutes(1))) func cancellingEndsAWaitAtOnce() async throws {
    try await withBus(contribution: 64 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let reading = Task { _ = try await subscriber.next()?.sequence }
      let publisher = try await bus.publisher(for: "a")
      let held = try await publisher.loan(byteCount: 50_000)
      let lending = Task { _ = try await publisher.loan(byteCount: 50_000).byteCount }
      await subscriber.untilSomebodyWaits()
      while try await bus.inspect().pool.waitingLeases == 0 { await Task.yield() }
      reading.cancel()
      lending.cancel()
      await #expect(throws: CancellationError.self) { try await reading.value }
      await #expect(throws: CancellationError.self) { try await lending.value }
      try held.publish()
      #expect(try await nextBytes(subscriber)?.bytes.count == 50_000)
    }
  }

  @Test(arguments: [Waiting.block, .adaptive]) func tasksRunWhereMessagesArrive(waiting: Waiting) async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a", options: SubscriberOptions(waiting: waiting))
      let publisher = try await bus.publisher(for: "a")
      let reading = Task(executorPreference: bus.executor) {
        var last: UInt64 = 0
        while last < 500, let sample = try await subscriber.next() { last = sample.sequence }
        return last
      }
      for _ in 1...500 { try await publisher.publish(copying: [1]) }
      #expect(try await reading.value == 500)
    }
  }

  @Test func whoLooksManyTimesFindsEachMessageOnce() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      #expect(try subscriber.tryNext(looks: 100) == nil)
      let publishing = Task { for _ in 1...500 { try await publisher.publish(copying: [1]) } }
      for sequence: UInt64 in 1...500 {
        var found: UInt64?
        while found == nil {
          found = try subscriber.tryNext(looks: 100)?.sequence
          if found == nil { await Task.yield() }
        }
        #expect(found == sequence)
      }
      try await publishing.value
    }
  }

  @Test(arguments: [0, -1, .min]) func whoAsksForNoLookGetsOne(looks: Int) async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      for sequence: UInt64 in 1...2 {
        try await publisher.publish(copying: [1])
        #expect(try await nextBytes(subscriber)?.sequence == sequence)
        // In a segment that it reads already.
        #expect(try subscriber.tryNext(looks: looks) == nil)
      }
      try await publisher.publish(copying: [1])
      #expect(try subscriber.tryNext(looks: looks)?.sequence == 3)
    }
  }

  @Test(.timeLimit(.minutes(1))) func closingASubscriberEndsItsWait() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let reading = Task { try await subscriber.next() == nil }
      await subscriber.untilSomebodyWaits()
      subscriber.close()
      #expect(try await reading.value)
      #expect(throws: BusError.closed) { _ = try subscriber.tryNext()?.sequence }
    }
  }

  @Test(arguments: [Waiting.block, .spin, .adaptive]) func everyWayToWaitFindsEveryMessage(waiting: Waiting)
    async throws
  {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a", options: SubscriberOptions(waiting: waiting))
      let publisher = try await bus.publisher(for: "a")
      let reading = Task {
        var last: UInt64 = 0
        while last < 2_000, let sample = try await subscriber.next() {
          #expect(sample.sequence == last + 1)
          last = sample.sequence
        }
        return last
      }
      for number in 1...2_000 {
        try await publisher.publish(copying: [1])
        if number.isMultiple(of: 100) { await Task.yield() }
      }
      #expect(try await reading.value == 2_000)
    }
  }
}
