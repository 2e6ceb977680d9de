import BusProtocol
import PooledMemory
import Vocabulary

/// One life of a segment, as a subscription reads it. Those who still do hold it: the cursor until it has moved past, and
/// every sample that is out. When the last of them lets go it is released.
final class BorrowedSegment: Sendable {
  let reader: SegmentReader
  let topic: TopicName
  let stream: StreamID
  let held: HeldSegment

  init(_ held: HeldSegment, epoch: UInt32, topic: TopicName, stream: StreamID) {
    self.held = held
    reader = SegmentReader(mapping: held.mapping, epoch: epoch)
    self.topic = topic
    self.stream = stream
    held.borrow(epoch, topic: topic)
  }

  // The count of references is atomic, and its last decrement acquires: all reads are done before the memory is another
  // message's.
  deinit { held.release(reader.identity.epoch) }

  /// - Throws: ``BusError/invalidAttributes(_:)``, whatever is wrong with what the publisher wrote.
  func attributes(of slot: Slot) throws(BusError) -> MessageAttributes {
    let reader = reader
    do {
      let encoded = try reader.attributes(of: slot)
      return try AttributesCodec.decode(encoded)
    } catch { throw .invalidAttributes("\(error)") }
  }

  /// The cursor moves past it and lets go. Called once.
  static func pass(_ segment: consuming BorrowedSegment) {
    var segment = segment
    // Said before the hold is dropped: a release that comes from another thread must not overtake it.
    if !isKnownUniquelyReferenced(&segment) { segment.held.pass(segment.reader.identity.epoch) }
  }
}
