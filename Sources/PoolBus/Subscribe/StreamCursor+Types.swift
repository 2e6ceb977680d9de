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
  }

  struct OpenSegment {
    let held: HeldSegment
    /// The life that is read; nil once it is read to its end: the segment rests.
    var segment: BorrowedSegment?
    /// The reader of that life, or of the one that was read last.
    var reader: SegmentReader
    /// The slot to read next.
    var next: UInt32 = 0
    /// Committed slots at the last look; the shared word is read again only when these are used up.
    var visible: UInt32 = 0
    /// How many slots there will ever be, if the node has said so.
    var end: UInt32?
    /// The next slot, if it was read already and its turn had not come.
    var peeked: Slot?
    /// Where the next payload probably lies.
    var following = 0
    /// What its publisher had said before the last look that found nothing.
    var settled: SegmentReader.Progress?

    init(_ held: HeldSegment, _ segment: BorrowedSegment) {
      self.held = held
      self.segment = segment
      reader = segment.reader
    }
  }
}
