/// A message's place in its segment, copied out of its slot and checked: its payload lies within the segment.
///
/// What else the slot says, ``SegmentReader`` looks up when it is asked for. Three whole words, so that a slot goes in registers
/// from where it is found to who reads it: a copy in memory costs as much as to find it.
public struct Slot: Hashable, Sendable {
  /// The message's number in its stream, from 1.
  public let sequence: UInt64
  /// The slot's number in its segment below; above, where the payload begins, in units of
  /// ``SegmentLayout/minimumAlignment``.
  private let place: UInt64
  /// The payload's length, doubled; odd if the log ends with this message.
  private let length: UInt64

  /// - Parameters:
  ///   - offset: a multiple of ``SegmentLayout/minimumAlignment``.
  ///   - byteCount: with `offset`, within a segment.
  init(sequence: UInt64, index: UInt32, offset: UInt64, byteCount: UInt64, isLast: Bool) {
    self.sequence = sequence
    place = (offset / UInt64(SegmentLayout.minimumAlignment)) << 32 | UInt64(index)
    length = byteCount << 1 | (isLast ? 1 : 0)
  }

  /// The slot's number in its segment, from 0.
  public var index: UInt32 { UInt32(truncatingIfNeeded: place) }
  /// The payload's length.
  public var byteCount: Int { Int(length >> 1) }
  /// Whether the log ends with this message, as its publisher says.
  public var isLast: Bool { length & 1 != 0 }

  var offset: Int { Int(place >> 32) * SegmentLayout.minimumAlignment }

  /// Where the next message's payload lies, if this one has no attributes, and the next was loaned next and asked for no more
  /// than the usual alignment.
  public var following: Int { SegmentLayout.roundUp(offset + byteCount, to: SegmentLayout.minimumAlignment) }

  /// Whether the payload's address is a multiple of a power of two, here and in every process that maps the segment.
  public func isAligned(to alignment: Int) -> Bool { offset % alignment == 0 }
}
