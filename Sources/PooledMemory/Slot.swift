/// A message's entry in its segment, copied out and checked: its payload and attributes lie within the segment.
///
/// Only the places are checked. What the publisher says of itself (sequence, time, stride, end) is its own word.
public struct Slot: Hashable, Sendable {
  /// The slot's number in its segment, from 0.
  public let index: UInt32
  /// The message's number in its stream, from 1.
  public let sequence: UInt64
  /// Nanoseconds since 1970, by the publisher's clock.
  public let publishTime: UInt64
  /// The payload's length.
  public let byteCount: Int
  /// The length of the encoded attributes; 0 if there are none.
  public let attributesByteCount: Int
  /// The stride of the payload's elements, in bytes; 0 if it is untyped.
  public let elementStride: UInt32
  /// Whether the log ends with this message.
  public let isLast: Bool

  let offset: Int
  let attributesOffset: Int

  /// Where the next message's payload lies, if it was loaned next and asked for no more than the usual alignment.
  public var following: Int {
    SegmentLayout.roundUp(
      max(offset + byteCount, attributesOffset + attributesByteCount), to: SegmentLayout.minimumAlignment)
  }

  /// Whether the payload's address is a multiple of a power of two, here and in every process that maps the segment.
  public func isAligned(to alignment: Int) -> Bool { offset % alignment == 0 }
}
