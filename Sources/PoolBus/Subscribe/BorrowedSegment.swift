import PooledMemory
import Synchronization
import Vocabulary

/// A segment that a subscription reads, and the count of those who still do: the cursor until it has moved past, and
/// every sample that is out. The last of them releases it.
final class BorrowedSegment: Sendable {
  let reader: SegmentReader
  let topic: TopicName
  let stream: StreamID
  private let onPass: @Sendable () -> Void
  private let onRelease: @Sendable () -> Void
  private let holds = Atomic<Int>(1)

  /// - Parameters:
  ///   - onPass: called when the cursor has moved past it while samples are out.
  ///   - onRelease: called once, by the last holder.
  init(
    reader: SegmentReader, topic: TopicName, stream: StreamID, onPass: @escaping @Sendable () -> Void,
    onRelease: @escaping @Sendable () -> Void
  ) {
    self.reader = reader
    self.topic = topic
    self.stream = stream
    self.onPass = onPass
    self.onRelease = onRelease
  }

  /// A sample of it goes out.
  func borrow() { holds.add(1, ordering: .relaxed) }

  /// A sample is dropped.
  func giveBack() {
    if drop() == 0 { onRelease() }
  }

  /// The cursor moves past it. Called once.
  func pass() {
    // Said before the hold is dropped: a release that comes from another thread must not overtake it.
    if holds.load(ordering: .relaxed) > 1 { onPass() }
    if drop() == 0 { onRelease() }
  }

  private func drop() -> Int {
    // Releasing, so that this holder's reads are done before the memory is another message's; acquiring, so that the
    // last holder speaks for all.
    holds.subtract(1, ordering: .acquiringAndReleasing).newValue
  }
}
