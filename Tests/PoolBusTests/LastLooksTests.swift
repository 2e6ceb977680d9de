import Testing

@testable import PoolBus

@Suite("Looks before a sleep")
struct LastLooksTests {
  @Test("Each sleep has its looks")
  func areRenewed() {
    let looks = LastLooks()
    for _ in 1...3 { #expect(looks.budget() == LastLooks.most) }
  }

  @Test("Small messages are looked for each time")
  func areDueForSmallMessages() {
    let looks = LastLooks()
    looks.took(byteCount: LastLooks.large - 1)
    #expect(looks.isDue(after: 0, remaining: 1))
  }

  @Test("A writer of large messages gets ahead, unless others ran meanwhile or nothing is left but to sleep")
  func giveAHeadStart() {
    let looks = LastLooks()
    looks.took(byteCount: LastLooks.large)
    #expect(!looks.isDue(after: LastLooks.handedOver, remaining: 1))
    #expect(looks.isDue(after: LastLooks.handedOver + 1, remaining: 1))
    #expect(looks.budget() == 2 * LastLooks.most)
    #expect(looks.isDue(after: 0, remaining: LastLooks.most) && looks.isDue(after: 0, remaining: 0))
    looks.took(byteCount: 1)
    #expect(looks.isDue(after: 0, remaining: 1))
  }

  @Test(
    "Who does not get the core back for long sleeps at once for some times, and the more often the longer that lasts")
  func areNotForFullCores() {
    let looks = LastLooks()
    #expect(looks.isDue(after: LastLooks.tooLong, remaining: 1))
    #expect(looks.budget() == LastLooks.most)
    func abstentions() -> Int {
      #expect(looks.isDue(after: LastLooks.tooLong + 1, remaining: 1))
      var count = 0
      while looks.budget() == 0 { count += 1 }
      return count
    }
    #expect((1...5).map { _ in abstentions() } == [8, 16, 32, 64, 64])
    #expect(looks.isDue(after: 0, remaining: 1))
    #expect(abstentions() == LastLooks.shortestAbstention)
  }
}
