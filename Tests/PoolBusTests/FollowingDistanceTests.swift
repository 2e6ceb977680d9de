import Testing

@testable import PoolBus

@Suite("The distance at which a reader follows its writer")
struct FollowingDistanceTests {
  private static let start: UInt64 = 1_000_000_000
  private let distance = FollowingDistance()

  /// Takes a message that was published at a time since the start.
  private func wait(_ byteCount: Int = FollowingDistance.smallest, at time: UInt64) -> UInt64 {
    distance.longestWait(byteCount: byteCount, publishTime: Self.start + time)
  }

  @Test("Where large messages follow each other at once, it waits for up to two intervals")
  func followsStreams() {
    #expect(wait(at: 0) == 0)
    #expect(wait(at: 1_000) == 2_000)
    #expect(wait(FollowingDistance.largest, at: 1_000 + FollowingDistance.longestInterval) == 128_000)
  }

  @Test("It does not wait where they come slowly, or are small, or larger than the caches")
  func isForStreamsOnly() {
    #expect(wait(at: 0) == 0)
    #expect(wait(at: FollowingDistance.longestInterval + 1) == 0)
    #expect(wait(FollowingDistance.smallest - 1, at: FollowingDistance.longestInterval + 2) == 0)
    #expect(wait(FollowingDistance.largest + 1, at: FollowingDistance.longestInterval + 3) == 0)
  }

  @Test("A clock that was set back is no stream")
  func survivesClocks() {
    #expect(wait(at: 1_000) == 0)
    #expect(wait(at: 0) == 0)
    #expect(wait(at: 10) == 20)
  }

  @Test("Who answers each message, so that none follows, waits ever more seldom")
  func learnsThatItIsInVain() {
    var time: UInt64 = 0
    func waits(among count: Int) -> Int {
      (0..<count).count { _ in
        time += 1_000
        guard wait(at: time) > 0 else { return false }
        distance.waited(inVain: true)
        return true
      }
    }
    _ = wait(at: time)
    #expect(waits(among: 100) == 4)
    #expect(waits(among: 10_000) <= 14)
  }

  @Test("What came in time makes it wait again as before")
  func learnsThatItPays() {
    _ = wait(at: 0)
    for step in 1...5_000 where wait(at: UInt64(step)) > 0 { distance.waited(inVain: true) }
    var time: UInt64 = 5_001
    while wait(at: time) == 0 { time += 1 }
    distance.waited(inVain: false)
    distance.waited(inVain: true)
    #expect((1...10).map { wait(at: time + $0) > 0 } == Array(repeating: false, count: 8) + [true, true])
  }
}
