import Synchronization
import Vocabulary

/// When who waits had better nap than look: where messages flow about as fast as they are read, it would look a little for
/// each, and burn its core. After a nap several are there at once, and nobody had to wake it. Network cards moderate their
/// interrupts for the same reason.
///
/// Only where messages take longer than a nap, and only while naps pay, as each is followed by more than one message: an
/// answer that somebody asked for would but come later.
///
/// Times are nanoseconds.
final class Moderation: Sendable {
  /// Some 16 microseconds, with what the kernel adds.
  static let nap: UInt32 = 10_000
  /// What follows each other sooner is better looked for.
  static let leastInterval: UInt64 = 12_000
  /// So many waits in a row ended while it looked.
  static let enoughWaits = 8
  /// So many naps in a row were in vain: it may be that others had the core just once.
  static let enoughVainNaps = 4

  /// What ended a wait.
  enum End { case looks, nap }

  private let waits = Atomic<Int>(0)
  private let vainNaps = Atomic<Int>(0)
  private let abstention = Abstention(shortest: 64, longest: 4096)
  /// Whether the last wait ended with a nap, and what came then. Only one task waits at a time, so nothing is exchanged.
  private let napped = Atomic<Bool>(false)
  private let stream = Atomic<UInt64>(0)
  private let sequence = Atomic<UInt64>(0)
  private let publishTime = Atomic<UInt64>(0)

  /// Whether to nap now, as a wait begins.
  func isNapDue() -> Bool { waits.load(ordering: .relaxed) >= Self.enoughWaits && !abstention.isDue() }

  func came(_ message: SubscriptionCore.Message, after end: End) {
    came(message.segment.stream, message.slot.sequence, publishTime: message.publishTime, after: end)
  }

  /// A message ended a wait; all that its stream had between this one and the one that ended the last wait was there at once.
  func came(_ stream: StreamID, _ sequence: UInt64, publishTime: UInt64, after end: End) {
    let wasNap = napped.load(ordering: .relaxed)
    let isSame = self.stream.load(ordering: .relaxed) == stream.rawValue
    let messages = sequence &- self.sequence.load(ordering: .relaxed)
    let duration = publishTime &- self.publishTime.load(ordering: .relaxed)
    napped.store(end == .nap, ordering: .relaxed)
    self.stream.store(stream.rawValue, ordering: .relaxed)
    self.sequence.store(sequence, ordering: .relaxed)
    self.publishTime.store(publishTime, ordering: .relaxed)
    // Clocks may be set back, and publishers begin anew.
    guard isSame, messages > 0, messages <= UInt64(Int64.max), duration <= UInt64(Int64.max) else { return pauses() }
    if wasNap { judgeNap(hasPaid: messages > 1) }
    guard duration / messages >= Self.leastInterval else { return pauses() }
    waits.add(1, ordering: .relaxed)
  }

  private func judgeNap(hasPaid: Bool) {
    if hasPaid {
      abstention.reset()
    } else if vainNaps.add(1, ordering: .relaxed).newValue >= Self.enoughVainNaps {
      abstention.begin()
    } else {
      return
    }
    vainNaps.store(0, ordering: .relaxed)
  }

  /// Messages do not flow, or others want the core.
  func pauses() { waits.store(0, ordering: .relaxed) }
}
