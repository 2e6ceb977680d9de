import PooledMemory
import Synchronization
import Vocabulary

/// A segment that a subscription reads, and the count of those who still do: the cursor until it has moved past, and
/// every sample that is out. The last of them releases it.
final class BorrowedSegment: Sendable {
  let reader: SegmentReader
  let topic: TopicName
  let stream: StreamID
  private let onRelease: @Sendable () -> Void
  private let holds = Atomic<Int>(1)

  /// - Parameter onRelease: called once, by the last holder.
  init(reader: SegmentReader, topic: TopicName, stream: StreamID, onRelease: @escaping @Sendable () -> Void) {
    self.reader = reader
    self.topic = topic
    self.stream = stream
    self.onRelease = onRelease
  }

  func borrow() { holds.add(1, ordering: .relaxed) }

  func giveBack() {
    // Releasing, so that this holder's reads are done before the memory is another message's; acquiring, so that the
    // last holder speaks for all.
    if holds.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
      onRelease()
    }
  }
}
