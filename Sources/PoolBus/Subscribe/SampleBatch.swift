import PooledMemory
import Vocabulary

/// Messages of one stream that follow each other, borrowed where they lie, read-only. Dropping the batch releases them.
///
/// It stays readable as long as it is held, as a ``Sample`` does.
public struct SampleBatch: ~Copyable, Sendable {
  private let segment: BorrowedSegment
  private let first: Slot
  /// How many messages it has; at least one.
  public let count: Int

  init(_ message: SubscriptionCore.Message) {
    segment = message.segment
    first = message.slot
    count = message.count
  }

  public var topic: TopicName { segment.topic }
  public var stream: StreamID { segment.stream }

  /// The first message's number in its stream; the others follow.
  public var firstSequence: UInt64 { first.sequence }

  /// Reads a payload, in place, as ``Sample/withBytes(_:)`` does.
  ///
  /// - Throws: what `body` throws, and as ``bytes(at:)``.
  @inlinable
  public borrowing func withBytes<Result: ~Copyable>(
    at index: Int, _ body: (RawSpan) throws -> Result
  ) throws -> Result {
    try body(bytes(at: index))
  }

  /// A payload, in place; see ``Sample/bytes``.
  ///
  /// - Parameter index: which message; below ``count``.
  /// - Throws: ``BusError/corruptSegment(_:)`` if the publisher wrote nonsense there.
  @_lifetime(borrow self)
  public borrowing func bytes(at index: Int) throws(BusError) -> RawSpan {
    precondition(index >= 0 && index < count, "a batch has \(count) messages")
    let reader = segment.reader
    do throws(CorruptSegment) {
      let span = try reader.bytes(at: first.index + UInt32(index), sequence: first.sequence &+ UInt64(index))
      // SAFETY: the batch holds the segment, and with it the mapping.
      return unsafe _overrideLifetime(span, borrowing: self)
    } catch {
      throw .corruptSegment("\(segment.topic), \(error)")
    }
  }

  /// When a message was published; see ``Sample/publishTime``. Throws as ``bytes(at:)``.
  public func publishTime(at index: Int) throws(BusError) -> UInt64 {
    segment.reader.publishTime(of: try slot(at: index))
  }

  /// What the publisher said about a payload. Throws as ``bytes(at:)``, and as ``Sample/attributes()``.
  public func attributes(at index: Int) throws(BusError) -> MessageAttributes {
    try segment.attributes(of: slot(at: index))
  }

  private func slot(at index: Int) throws(BusError) -> Slot {
    precondition(index >= 0 && index < count, "a batch has \(count) messages")
    do throws(CorruptSegment) {
      return try segment.reader.slot(at: first.index + UInt32(index), sequence: first.sequence &+ UInt64(index))
    } catch {
      throw .corruptSegment("\(segment.topic), \(error)")
    }
  }
}
