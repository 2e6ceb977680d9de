import BusProtocol
import Foundation
import HandleTransport
import Platform
import TestSupport
import Testing

@testable import PoolBus

/// The API as an application uses it, with a node within the process and the transport's twin instead of ZeroMQ.
@Suite struct BusTests {
  @Test func aMessageArrivesWithAllThatWasSaidOfIt() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "camera/*")
      let publisher = try await bus.publisher(for: "camera/front")
      let attributes = MessageAttributes(
        contentType: "image/jpeg", traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        user: ["exposure": "8 ms"])
      try await publisher.publish(copying: [1, 2, 3], attributes: attributes)
      let sample = try #require(await nextBytes(subscriber))
      #expect(sample.bytes == [1, 2, 3])
      #expect(sample.attributes == attributes)
      #expect(sample.topic.text == "camera/front" && sample.sequence == 1 && sample.stream == publisher.stream)
      #expect(sample.publishTime > 1_700_000_000_000_000_000)
    }
  }

  @Test func loansArePublishedInAnyOrderAndDroppedLoansLeaveNoGap() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var first = try await publisher.loan(byteCount: 1)
      var second = try await publisher.loan(byteCount: 1)
      do { _ = try await publisher.loan(byteCount: 100) }
      second.mutableBytes.storeBytes(of: 2, as: UInt8.self)
      try second.publish()
      first.mutableBytes.storeBytes(of: 1, as: UInt8.self)
      try first.publish()
      let received = [try await nextBytes(subscriber), try await nextBytes(subscriber)].compactMap { $0 }
      #expect(received.map(\.bytes) == [[2], [1]])
      #expect(received.map(\.sequence) == [1, 2])
    }
  }

  @Test func aLargeLoanKeepsNothingBackThatIsPublishedBeforeIt() async throws {
    try await withBus(contribution: 1 << 20) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      let large = try await publisher.loan(byteCount: 300_000)
      try await publisher.publish(copying: [1])
      #expect(try await nextBytes(subscriber)?.bytes == [1])
      let second = try await publisher.loan(byteCount: 300_000)
      try second.publish()
      try await publisher.publish(copying: [2])
      #expect(try await nextBytes(subscriber)?.bytes.count == 300_000)
      #expect(try await nextBytes(subscriber)?.bytes == [2])
      try large.publish()
      #expect(try await nextBytes(subscriber)?.sequence == 4)
    }
  }

  /// Loans of all sizes, several at once, published in any order: whatever is out, what is published arrives.
  @Test(.timeLimit(.minutes(5)), arguments: 1...20)
  func whatIsPublishedArrivesWhateverElseIsOnLoan(run: Int) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    try await withBus(contribution: 4 << 20) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var loans: [HeldLoan] = []
      var (published, received): (UInt64, UInt64) = (0, 0)
      while published < 150 {
        if loans.count < 6, Bool.random(using: &random) {
          let size = [10, 1_000, 30_000, 200_000, 400_000].randomElement(using: &random)!
          guard let loan = try publisher.tryLoan(byteCount: size) else {
            await Task.yield()
            continue
          }
          loans.append(HeldLoan(loan))
        } else if !loans.isEmpty {
          let loan = loans.remove(at: Int.random(in: loans.indices, using: &random))
          if Int.random(in: 0..<5, using: &random) > 0 {
            try loan.publish()
            published += 1
          }
        }
        while received < published, Int.random(in: 0..<3, using: &random) == 0 {
          received += 1
          let sequence = try await nextBytes(subscriber)?.sequence
          #expect(sequence == received, "seed \(seed)")
        }
      }
      while received < published {
        received += 1
        #expect(try await nextBytes(subscriber)?.sequence == received, "seed \(seed)")
      }
    }
  }

  @Test func aLoanIsPublishedAsShortAsItWasFilledButNoLonger() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var loan = try await publisher.loan(byteCount: 100)
      loan.mutableBytes.storeBytes(of: 7, as: UInt8.self)
      try loan.publish(byteCount: 1)
      let other = try await publisher.loan(byteCount: 100)
      let error = failure(publishing: other, byteCount: 101)
      #expect(error == .beyondLoan(byteCount: 101, loaned: 100))
      #expect(try await nextBytes(subscriber)?.bytes == [7])
    }
  }

  @Test func elementsAreReadAsWhatTheyWerePublishedAs() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "tensor")
      let publisher = try await bus.publisher(for: "tensor")
      var loan = try await publisher.loan(of: Float.self, count: 3)
      for index in 0..<3 { loan.elements[index] = Float(index) / 2 }
      try loan.publish()
      let sample = try #require(await firstSample(subscriber))
      try sample.check { sample in
        let floats = try sample.elements(as: Float.self)
        #expect(floats.count == 3 && floats[2] == 1)
        let last = try sample.withElements(as: Float.self) { $0[2] }
        #expect(last == 1)
        #expect(throws: BusError.self) { _ = try sample.elements(as: Double.self).count }
        #expect(throws: BusError.self) { _ = try sample.elements(as: UInt8.self).count }
      }
    }
  }

  @Test func bytesThatAreNoWholeElementsAreAnError() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1, 2, 3])
      let sample = try #require(await firstSample(subscriber))
      try sample.check { sample in
        #expect { _ = try sample.elements(as: UInt16.self).count } throws: { "\($0)".contains("no multiple") }
        let count = try sample.elements(as: UInt8.self).count
        #expect(count == 3 && sample.withBytes { $0.byteCount } == 3)
      }
    }
  }

  @Test(arguments: [64, 4096, 2 << 20]) func payloadsAreAlignedAsAsked(alignment: Int) async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      for _ in 0..<3 {
        let loan = try await publisher.loan(byteCount: 10, alignment: alignment)
        try loan.publish()
        let sample = try #require(await firstSample(subscriber))
        sample.check { #expect($0.bytes.address % alignment == 0) }
      }
      await #expect(throws: BusError.invalidAlignment(3)) {
        _ = try await publisher.loan(byteCount: 1, alignment: 3).byteCount
      }
    }
  }

  @Test func whatCanNeverFitIsRefusedWithTheLimit() async throws {
    try await withBus(contribution: 1 << 20) { bus in
      let publisher = try await bus.publisher(for: "a")
      // A header, its slot, and two that are spare.
      let limit = (1 << 20) - 4096 - 3 * 64
      let loan = try await publisher.loan(byteCount: limit)
      #expect(loan.byteCount == limit)
      await #expect(throws: BusError.payloadTooLarge(byteCount: limit + 1, limit: limit)) {
        _ = try await publisher.loan(byteCount: limit + 1).byteCount
      }
      await #expect(throws: BusError.invalidCount(-1)) { _ = try await publisher.loan(byteCount: -1).byteCount }
      await #expect(throws: BusError.self) { _ = try await publisher.loan(of: Int.self, count: .max).count }
      _ = consume loan
    }
  }

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

  @Test(.timeLimit(.minutes(5))) func aCancelledLoanLeavesThePublisherUsable() async throws {
    try await withBus(contribution: 64 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      let held = try await publisher.loan(byteCount: 50_000)
      for _ in 1...3 {
        let lending = Task { _ = try await publisher.loan(byteCount: 50_000).byteCount }
        // Until it waits at the node, which the books show.
        while try await bus.inspect().pool.waitingLeases == 0 { await Task.yield() }
        lending.cancel()
        await #expect(throws: CancellationError.self) { try await lending.value }
        while try await bus.inspect().pool.waitingLeases != 0 { await Task.yield() }
      }
      try held.publish()
      #expect(try await nextBytes(subscriber)?.bytes.count == 50_000)
      let next = try await publisher.loan(byteCount: 50_000)
      try next.publish()
      #expect(try await nextBytes(subscriber)?.sequence == 2)
    }
  }

  @Test func aBatchIsPublishedAndTakenAtOnce() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var batch = try await publisher.loanBatch(count: 100, byteCount: 3)
      for index in 0..<100 {
        var bytes = batch.mutableBytes(at: index)
        bytes.storeBytes(of: UInt8(index), toByteOffset: 2, as: UInt8.self)
      }
      #expect(try subscriber.tryNext() == nil)
      try batch.publish()
      do { _ = try await publisher.loanBatch(count: 7, byteCount: 64).count }
      try await publisher.publish(copying: [200])
      let some = try #require(await HeldBatch(subscriber.nextBatch(limit: 30)))
      #expect(some.firstSequence == 1 && some.lastBytes == (0..<30).map { UInt8($0) })
      let rest = try #require(await HeldBatch(subscriber.nextBatch()))
      #expect(rest.firstSequence == 31 && rest.lastBytes == (30..<100).map { UInt8($0) } + [200])
      await #expect(throws: BusError.self) { _ = try await publisher.loanBatch(count: .max, byteCount: .max).count }
      await #expect(throws: BusError.invalidCount(0)) {
        _ = try await publisher.loanBatch(count: 0, byteCount: 1).count
      }
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

  @Test func aLoanThatOutlivesItsPublisherCannotBePublished() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      let loan = try await publisher.loan(byteCount: 1)
      publisher.close()
      let error = failure(publishing: loan)
      #expect(error == .closed)
    }
  }

  @Test func evictOldestReportsWhatWasLost() async throws {
    try await withBus(contribution: 256 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a", options: PublisherOptions(whenFull: .evictOldest))
      for _ in 1...40 { try await publisher.publish(copying: [UInt8](repeating: 1, count: 30_000)) }
      var (received, lost): (UInt64, UInt64) = (0, 0)
      while received + lost < 40 {
        do {
          guard let sample = try await subscriber.next() else { break }
          received += 1
          #expect(sample.sequence == received + lost)
        } catch BusError.lagged(let lag) {
          lost += lag.messages
        }
      }
      #expect(received + lost == 40 && lost > 0 && received > 0)
      #expect(subscriber.laggedMessages == lost)
    }
  }

  @Test func failSaysWhoHoldsThePool() async throws {
    try await withBus(contribution: 128 << 10) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a", options: PublisherOptions(whenFull: .fail))
      await #expect {
        for _ in 1...10 { try await publisher.publish(copying: [UInt8](repeating: 1, count: 30_000)) }
      } throws: { error in
        guard case BusError.poolExhausted(let text) = error else { return false }
        return text.contains("a holds") && text.contains("subscription")
      }
      _ = subscriber.subscription
    }
  }

  @Test func lateJoinersGetWhatIsRetained() async throws {
    try await withBus { bus in
      let retention = PublisherOptions(retention: Retention(messages: 3))
      let publisher = try await bus.publisher(for: "a", options: retention)
      for number in 1...10 { try await publisher.publish(copying: [UInt8(number)]) }
      let late = try await bus.subscriber(to: "a")
      let latest = try await bus.subscriber(to: "a", options: SubscriberOptions(receivesRetained: false))
      try await publisher.publish(copying: [11])
      var received: [UInt8] = []
      while received.last != 11, let next = try await nextBytes(late) { received += next.bytes }
      #expect(received == [8, 9, 10, 11])
      #expect(try await nextBytes(latest)?.bytes == [11])
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

  @Test func aSegmentThatCannotBeMappedIsToldOnceAndReadingGoesOn() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      try await publisher.publish(copying: [1])
      #expect(try await nextBytes(subscriber)?.bytes == [1])
      let handed = SegmentHanded(
        subscription: subscriber.subscription, stream: publisher.stream,
        segment: SegmentIdentity(id: SegmentID(rawValue: 1), epoch: 1), capacity: 8192, warm: false)
      let file = try MemoryFile.create(name: "no-segment", byteCount: 4096)
      subscriber.core.hand(handed, descriptor: file)
      await #expect { try await nextBytes(subscriber) } throws: { error in
        if case BusError.corruptSegment = error { true } else { false }
      }
      try await publisher.publish(copying: [2])
      #expect(try await nextBytes(subscriber)?.bytes == [2])
    }
  }
}
