import Testing

@testable import PoolBus

@Suite("Looks before a sleep")
struct LastLooksTests {
  private let looks = LastLooks()

  @Test("Each sleep has its looks")
  func areRenewed() {
    for _ in 1...3 { #expect(looks.budget() == LastLooks.most) }
  }

  @Test(
    "Who does not get the core back for long sleeps at once for some times, and the more often the longer that lasts")
  func areNotForFullCores() {
    _ = looks.cameBack(after: LastLooks.tooLong)
    #expect(looks.budget() == LastLooks.most)
    func abstentions() -> Int {
      _ = looks.cameBack(after: LastLooks.tooLong + 1)
      var count = 0
      while looks.budget() == 0 { count += 1 }
      return count
    }
    #expect((1...5).map { _ in abstentions() } == [8, 16, 32, 64, 64])
    _ = looks.cameBack(after: 0)
    #expect(abstentions() == 8)
  }

  @Test("A core is shared as long as others use it when it is given away; a wake-up is no such use")
  func tellWhetherTheCoreIsShared() {
    #expect(!looks.sharesCore)
    #expect(looks.cameBack(after: LastLooks.handedOver) == LastLooks.costOfIdleLook)
    #expect(!looks.sharesCore)
    #expect(looks.cameBack(after: LastLooks.handedOver + 1) == LastLooks.costOfSharedLook)
    #expect(looks.sharesCore)
    _ = looks.cameBack(after: 0)
    #expect(!looks.sharesCore)
  }

  @Test("Who goes on sharing its core with another, moment by moment, sleeps now and then, to be woken elsewhere")
  func sleepsToBePlacedAnew() {
    for _ in 1...2 {
      for _ in 1...LastLooks.mostSwitches {
        #expect(looks.budget() == LastLooks.most)
        _ = looks.cameBack(after: LastLooks.switched + 1)
      }
      #expect(looks.budget() == 0)
    }
    for _ in 0...LastLooks.mostSwitches {
      for duration in [LastLooks.switched, LastLooks.handedOver + 1] { _ = looks.cameBack(after: duration) }
    }
    #expect(looks.budget() == LastLooks.most)
  }
}
