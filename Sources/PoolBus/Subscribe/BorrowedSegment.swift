import PooledMemory
import Vocabulary

/// A segment that a subscription reads. Those who still do hold it: the cursor until it has moved past, and every sample
/// that is out. When the last of them lets go it is released.
final class BorrowedSegment: Sendable {
  let reader: SegmentReader
  let topic: TopicName
  let stream: StreamID
  private let onPass: @Sendable () -> Void
  private let onRelease: @Sendable () -> Void

  /// - Parameters:
  ///   - onPass: called when the cursor has moved past it while samples are out.
  ///   - onRelease: called once, when nobody holds it any more.
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

  // The count of references is atomic, and its last decrement acquires: all reads are done before the memory is another
  // message's.
  deinit { onRelease() }

  /// The cursor moves past it and lets go. Called once.
  static func pass(_ segment: consuming BorrowedSegment) {
    var segment = segment
    // Said before the hold is dropped: a release that comes from another thread must not overtake it.
    if !isKnownUniquelyReferenced(&segment) { segment.onPass() }
  }
}
