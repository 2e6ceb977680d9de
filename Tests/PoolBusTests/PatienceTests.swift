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

  @Test("A publisher waits the longer the more readers a lease would be handed to")
  func growsWithReaders() {
    var patience = Patience()
    let longest = 8 * Patience.longest
    #expect(answers(of: &patience, at: [0, longest - 1, longest], for: 8) == [true, true, false])
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
    sizing.rotated(isRenewed: false, now: Self.start)
    #expect(sizing.isFast(at: Self.start + SegmentSizing.shortLife - 1))
    #expect(!sizing.isFast(at: Self.start + SegmentSizing.shortLife))
  }

  /// Messages share a segment by fours: six are written to, and one is leased ahead of need.
  @Test("Who does not read does not keep segments from being leased ahead", .timeLimit(.minutes(1)))
  func isOverWithWhoStopped() async throws {
    try await withBus(contribution: 256 << 20) { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      func segments() async throws -> Int { try await bus.inspect().segments.count }
      for _ in 1...20 { try await publisher.loan(byteCount: 1 << 20).publish() }
      let stopped = Clock.monotonicNanoseconds
      while Clock.monotonicNanoseconds - stopped < Patience.absence { await Task.yield() }
      for _ in 1...3 { try await publisher.loan(byteCount: 1 << 20).publish() }
      while try await segments() < 7 { await Task.yield() }
      #expect(try await segments() == 7)
      subscriber.close()
    }
  }

  private func answers(of patience: inout Patience, at times: [UInt64], for readers: Int = 1) -> [Bool] {
    times.map { patience.allowsWaiting(for: readers, now: Self.start + $0) }
  }
}
