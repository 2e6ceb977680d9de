import Testing
import Vocabulary

@testable import PoolBus

@Suite("Naps instead of looks")
struct ModerationTests {
  private let moderation = Moderation()
  private let stream = StreamID(rawValue: 7)

  /// Waits that are ended by messages so far apart, from the one after `sequence` on.
  private func look(
    _ waits: Int = Moderation.enoughWaits, from sequence: UInt64 = 0, interval: UInt64 = Moderation.leastInterval
  ) {
    for wait in 0...UInt64(waits) { came(sequence + 1 + wait, interval: interval, after: .looks) }
  }

  private func came(
    _ sequence: UInt64, interval: UInt64 = Moderation.leastInterval, after end: Moderation.End,
    of stream: StreamID? = nil
  ) {
    moderation.came(stream ?? self.stream, sequence, publishTime: 1_000_000 + sequence * interval, after: end)
  }

  /// Naps that are each followed by so many messages, and then by a wait.
  private func nap(_ naps: Int, from sequence: UInt64, messages: UInt64) {
    for nap in 0..<UInt64(naps) {
      came(sequence + nap * (messages + 1), after: .nap)
      came(sequence + nap * (messages + 1) + messages, after: .looks)
    }
  }

  /// Waits without a nap until one is due.
  private var abstentions: Int { (0...10_000).first { _ in moderation.isNapDue() } ?? .max }

  @Test("One is due after some waits in a row that were short")
  func areDueWhereMessagesFlow() {
    look(Moderation.enoughWaits - 1)
    #expect(!moderation.isNapDue())
    came(UInt64(Moderation.enoughWaits) + 1, after: .looks)
    #expect(moderation.isNapDue())
    moderation.pauses()
    #expect(!moderation.isNapDue())
  }

  @Test("None is due for messages that follow each other sooner than it would end")
  func areNotForSmallMessages() {
    look(100, interval: Moderation.leastInterval - 1)
    #expect(!moderation.isNapDue())
  }

  @Test("Messages that were there at once are counted, not the waits alone")
  func countMessages() {
    for wait in 0...100 as ClosedRange<UInt64> {
      came(1 + 2 * wait, interval: Moderation.leastInterval / 2, after: .looks)
    }
    #expect(abstentions == .max)
  }

  @Test("Other streams, clocks that are set back and publishers that begin anew begin it anew")
  func beginAnew() {
    look()
    came(100, after: .looks, of: StreamID(rawValue: 8))
    #expect(!moderation.isNapDue())
    look()
    came(1, after: .looks)
    #expect(!moderation.isNapDue())
    look()
    moderation.came(stream, 100, publishTime: 0, after: .looks)
    #expect(!moderation.isNapDue())
    moderation.came(stream, .max, publishTime: .max, after: .looks)
    moderation.came(stream, 0, publishTime: 0, after: .looks)
    #expect(!moderation.isNapDue())
  }

  @Test("As long as each is followed by more than one message there is no end of them")
  func goOnWhileTheyPay() {
    look()
    nap(1_000, from: 100, messages: 2)
    #expect(abstentions == 0)
  }

  @Test("Where answers come one by one they are left out, and the more often the longer that lasts")
  func areLeftOutWhereInVain() {
    look()
    nap(Moderation.enoughVainNaps - 1, from: 100, messages: 1)
    #expect(abstentions == 0)
    nap(1, from: 200, messages: 1)
    #expect(abstentions == 64)
    for _ in 1...10 { nap(Moderation.enoughVainNaps, from: 300, messages: 1); look(from: 400) }
    #expect(abstentions == 4_096)
    nap(1, from: 500, messages: 3)
    nap(Moderation.enoughVainNaps, from: 600, messages: 1)
    #expect(abstentions == 64)
  }
}
