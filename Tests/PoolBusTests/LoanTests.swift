import TestSupport
import Testing

@testable import PoolBus

@Suite struct LoanTests {
  /// In registers from call to call.
  @Test func isFourWords() {
    #expect(MemoryLayout<Loan>.size == 32)
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
          // Not `guard let`, at which the compiler stays for ever where ThreadSanitizer is to be built in (Swift 6.3.1).
          if let loan = try publisher.tryLoan(byteCount: size) {
            loans.append(HeldLoan(loan))
          } else {
            await Task.yield()
          }
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

  @Test func aLoanThatOutlivesItsPublisherCannotBePublished() async throws {
    try await withBus { bus in
      let publisher = try await bus.publisher(for: "a")
      let loan = try await publisher.loan(byteCount: 1)
      publisher.close()
      let error = failure(publishing: loan)
      #expect(error == .closed)
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
}
