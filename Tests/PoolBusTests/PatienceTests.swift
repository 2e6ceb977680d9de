import Platform
import Testing

@testable import PoolBus

@Suite("Patience with readers that are behind")
struct PatienceTests {
  private static let start: UInt64 = 1_000_000_000

  @Test("A publisher waits as long as a lease would take, and no longer")
  func isBounded() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest - 1, Patience.longest]) == [true, true, false])
  }

  @Test("A publisher of large messages waits longer, and the longer the more readers a lease would be handed to")
  func growsWithReaders() {
    func longest(_ readers: Int) -> UInt64 { Patience.longestForLarge(readers: readers, life: 0, capacity: 0) }
    #expect(Patience.longest < longest(1))
    #expect(longest(8) == 8 * longest(0))
    // By then they have stopped.
    #expect(longest(8) < Patience.absence)
  }

  @Test("It waits as long as a segment of small messages takes to be read, if that was written fast")
  func growsWithWhatIsToBeRead() {
    func longest(_ life: UInt64) -> UInt64 { Patience.longestForLarge(readers: 1, life: life, capacity: 0) }
    #expect(longest(3_000_000) == 6_000_000)
    #expect(longest(1) == longest(0))
    #expect(longest(.max) == longest(Patience.longestLife) && longest(.max) < Patience.absence)
  }

  @Test("It waits as long as it would take to find and clear as much memory, within bounds")
  func growsWithWhatALeaseIsOf() {
    func longest(_ capacity: Int) -> UInt64 { Patience.longestForLarge(readers: 1, life: 1, capacity: capacity) }
    #expect(longest(SegmentSizing.largest) <= 2 * longest(0))
    #expect(longest(16 << 20) == 4 << 20)
    #expect(longest(1 << 30) == 2 * Patience.longestLife)
  }

  @Test("A reader that did not come in time is not waited for again, however long ago that was")
  func isSpentOnce() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest, 10 * Patience.longest]) == [true, false, false])
  }

  @Test("Readers that catch up are waited for again, from then on")
  func isRewarded() {
    var patience = Patience()
    #expect(answers(of: &patience, at: [0, Patience.longest]) == [true, false])
    patience.isRewarded()
    #expect(answers(of: &patience, at: [10, 11].map { $0 * Patience.longest }) == [true, false])
  }

  @Test("Readers that do not catch up for long are taken to have stopped, until they do")
  func isOver() {
    var patience = Patience()
    #expect(!patience.isOver(at: Self.start))
    #expect(answers(of: &patience, at: [0]) == [true])
    #expect(
      !patience.isOver(at: Self.start + Patience.absence - 1) && patience.isOver(at: Self.start + Patience.absence))
    patience.isRewarded()
    #expect(!patience.isOver(at: Self.start + Patience.absence))
  }

  @Test("Only a stream that fills its segments fast counts on its readers")
  func isForFastStreams() {
    var sizing = SegmentSizing()
    #expect(!sizing.isFast(at: Self.start))
    sizing.rotated(filled: SegmentSizing.smallest, keepsUp: false, now: Self.start)
    #expect(sizing.isFast(at: Self.start + SegmentSizing.shortLife - 1))
    #expect(!sizing.isFast(at: Self.start + SegmentSizing.shortLife))
  }

  /// Messages share a segment by twos.
  @Test("Who does not read does not keep segments from being leased ahead", .timeLimit(.minutes(1)))
  func isOverWithWhoStopped() async throws {
    try await withBus(contribution: 256 << 20) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func segments() async throws -> Int { try await bus.inspect().segments.count }
      for _ in 1...10 { try await publisher.loan(byteCount: 1 << 20).publish() }
      let stopped = Clock.monotonicNanoseconds
      while Clock.monotonicNanoseconds - stopped < Patience.absence { await Task.yield() }
      for _ in 1...2 { try await publisher.loan(byteCount: 1 << 20).publish() }
      while try await segments() < 7 { await Task.yield() }
      #expect(try await segments() == 7)
      subscriber.close()
    }
  }

  @Test(
    "A fast stream of large messages waits for its reader rather than use what is leased ahead", .timeLimit(.minutes(1))
  )
  func comesBeforeWhatIsAhead() async throws {
    var waited: Bool?
    // Two of these fill a segment that is as large as it gets.
    let size = (2 << 20) - 8192
    // The stream has to be fast, which nobody can promise here: once more, if it was not.
    while waited == nil {
      try await withBus(contribution: 256 << 20) { bus in
        let subscriber = try await bus.subscriber(to: "a")
        let publisher = try await bus.publisher(for: "a")
        func publish(_ count: Int) async throws {
          for _ in 1...count { try await publisher.loan(byteCount: size).publish() }
        }
        try await publish(4)
        while publisher.core.state.withLock({ $0.small.ahead.isEmpty }) { await Task.yield() }
        for _ in 1...4 { _ = try await subscriber.next() }
        // The two that are read are written anew; the third stays ahead.
        try await publish(2)
        let begun = Clock.monotonicNanoseconds
        try await publish(2)
        var loan = try publisher.tryLoan(byteCount: size)
        guard Clock.monotonicNanoseconds - begun < SegmentSizing.shortLife else { return }
        waited = loan == nil
        while loan == nil { loan = try publisher.tryLoan(byteCount: size) }
        #expect(try await bus.inspect().segments.count == 3)
      }
    }
    #expect(waited == true)
  }

  private func answers(of patience: inout Patience, at times: [UInt64]) -> [Bool] {
    times.map { patience.allowsWaiting(upTo: Patience.longest, now: Self.start + $0) }
  }
}
