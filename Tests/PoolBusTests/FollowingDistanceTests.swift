import Testing

@testable import PoolBus

@Suite("The distance at which a reader follows its writer")
struct FollowingDistanceTests {
  private typealias Wait = FollowingDistance.Wait

  private static let start: UInt64 = 1_000_000_000
  private let distance = FollowingDistance()

  /// Takes a message that was published at a time since the start.
  private func wait(_ byteCount: Int = FollowingDistance.byteCount, at time: UInt64) -> Wait? {
    distance.wait(byteCount: byteCount, publishTime: Self.start + time)
  }

  @Test("Where large messages follow each other at once, it waits for up to two intervals")
  func followsStreams() {
    #expect(wait(at: 0) == nil)
    #expect(wait(at: 1_000) == Wait(forNext: 2_000, further: 0))
    #expect(
      wait(FollowingDistance.largest, at: 1_000 + FollowingDistance.longestInterval)
        == Wait(forNext: 128_000, further: 0))
  }

  @Test("Of smaller ones it waits for as many as make the same distance, but never long")
  func keepsADistanceOfBytes() {
    #expect(wait(at: 0) == nil)
    #expect(wait(FollowingDistance.byteCount / 4, at: 5_000) == Wait(forNext: 10_000, further: 15_000))
    #expect(wait(FollowingDistance.smallest, at: 6_300) == Wait(forNext: 2_600, further: 23 * 1_300))
    #expect(wait(FollowingDistance.smallest, at: 26_300) == Wait(forNext: 40_000, further: 64_000))
  }

  @Test("It does not wait where they come slowly, or are small, or larger than the caches")
  func isForStreamsOnly() {
    #expect(wait(at: 0) == nil)
    #expect(wait(at: FollowingDistance.longestInterval + 1) == nil)
    #expect(wait(FollowingDistance.smallest - 1, at: FollowingDistance.longestInterval + 2) == nil)
    #expect(wait(FollowingDistance.largest + 1, at: FollowingDistance.longestInterval + 3) == nil)
  }

  @Test("What is slower than memory is held back by something else than its reader")
  func isForWhatIsAsFastAsMemory() {
    let longest = UInt64(FollowingDistance.smallest) / FollowingDistance.slowest
    #expect(wait(FollowingDistance.smallest, at: 0) == nil)
    #expect(wait(FollowingDistance.smallest, at: longest) != nil)
    #expect(wait(FollowingDistance.smallest, at: 2 * longest + 1) == nil)
  }

  @Test("A clock that was set back is no stream")
  func survivesClocks() {
    #expect(wait(at: 1_000) == nil)
    #expect(wait(at: 0) == nil)
    #expect(wait(at: 10) == Wait(forNext: 20, further: 0))
  }

  @Test("Who answers each message, so that none follows, waits ever more seldom")
  func learnsThatItIsInVain() {
    var time: UInt64 = 0
    func waits(among count: Int) -> Int {
      (0..<count).count { _ in
        time += 1_000
        guard wait(at: time) != nil else { return false }
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
    for step in 1...5_000 where wait(at: UInt64(step)) != nil { distance.waited(inVain: true) }
    var time: UInt64 = 5_001
    while wait(at: time) == nil { time += 1 }
    distance.waited(inVain: false)
    distance.waited(inVain: true)
    #expect((1...10).map { wait(at: time + $0) != nil } == Array(repeating: false, count: 8) + [true, true])
  }
}
