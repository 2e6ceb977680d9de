import PooledMemory
import Vocabulary

/// A received message, borrowed where it lies, read-only. Dropping it releases it.
///
/// It stays readable as long as it is held, whatever happens to its publisher, to the node, or to the pool; its segment's
/// memory is held as long, too, so keep samples no longer than needed.
public struct Sample: ~Copyable, Sendable {
  private let segment: BorrowedSegment
  private let slot: Slot

  init(_ message: SubscriptionCore.Message) {
    segment = message.segment
    slot = message.slot
  }

  /// The payload, in place.
  ///
  /// In a hot loop use ``withBytes(_:)``: Swift 6.3 moves a variable to the heap that a span is taken from, and does not
  /// let it be consumed any more (https://github.com/swiftlang/swift/pull/89145).
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      // SAFETY: the sample holds the segment, and with it the mapping.
      let reader = segment.reader
      let span = reader.bytes(of: slot)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Reads the payload, in place: without an allocation, and the sample can be handed on afterwards.
  @inlinable
  public borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(bytes)
  }

  public var byteCount: Int { slot.byteCount }
  public var topic: TopicName { segment.topic }
  public var stream: StreamID { segment.stream }
  /// The message's number in its stream, from 1, without gaps.
  public var sequence: UInt64 { slot.sequence }
  /// When it was published: nanoseconds since 1970, by the publisher's clock.
  ///
  /// Looked up in the segment at each call. A publisher that breaks the rules may alter it, as it may the payload: ask once.
  public var publishTime: UInt64 { segment.reader.publishTime(of: slot) }

  /// What the publisher said about the payload; decoded anew at each call.
  ///
  /// - Throws: ``BusError/invalidAttributes(_:)`` if the publisher wrote nonsense.
  public func attributes() throws(BusError) -> MessageAttributes { try segment.attributes(of: slot) }

  /// The payload as elements of a bit-copyable type, in place.
  ///
  /// Every bit pattern that a publisher writes becomes a value: use types for which each is valid, such as numbers.
  ///
  /// - Throws: ``BusError/typeMismatch(_:)`` if the payload was published as elements of another size, does not hold
  ///   whole elements, or is not aligned for them.
  @_lifetime(borrow self)
  public borrowing func elements<Element: BitwiseCopyable>(as type: Element.Type) throws(BusError) -> Span<Element> {
    let stride = MemoryLayout<Element>.stride
    let published = segment.reader.elementStride(of: slot)
    guard published == 0 || published == UInt32(clamping: stride) else {
      throw .typeMismatch("it was published as elements of \(published) bytes; \(type) has \(stride)")
    }
    guard slot.byteCount % stride == 0 else {
      throw .typeMismatch("its \(slot.byteCount) bytes are no multiple of \(type)'s \(stride)")
    }
    guard slot.isAligned(to: MemoryLayout<Element>.alignment) else {
      throw .typeMismatch("it is not aligned to \(type)'s \(MemoryLayout<Element>.alignment) bytes")
    }
    // SAFETY: size and alignment are checked above; Element is BitwiseCopyable, and the doc comment says for which
    // types any bits are a value.
    let span = Span<Element>(_bytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Reads the payload as elements, in place, as ``withBytes(_:)`` does. Throws as ``elements(as:)``, and what `body` throws.
  @inlinable
  public borrowing func withElements<Element: BitwiseCopyable, Result: ~Copyable>(
    as type: Element.Type, _ body: (Span<Element>) throws -> Result
  ) throws -> Result {
    try body(elements(as: type))
  }
}
