import PooledMemory
import Vocabulary

extension StreamCursor {
  /// What there is to take.
  enum Look {
    case message(index: Int, Slot)
    /// The next messages were evicted unread.
    case lagged(ClosedRange<UInt64>)
    case corrupt(index: Int?, CorruptSegment)
    case nothing
    /// The stream has ended, and all of it is read.
    case finished
  }

  /// A message that was taken, and borrows its segment.
  struct Message {
    var segment: BorrowedSegment
    var slot: Slot
    /// How many messages of the stream lie there, this one included.
    var count = 1

    var publishTime: UInt64 { segment.reader.publishTime(of: slot) }
  }
}
