import BusProtocol
import Platform
import PooledMemory
import Vocabulary

/// A segment that this process has mapped for writing. When the last that uses it lets go, it is unmapped and the node
/// is told, so that the node's books never call memory free that is still mapped.
///
/// Sendable because every use of ``log`` but its payload bytes happens under the publisher's lock, and the payload
/// ranges of loans are disjoint.
final class LeasedSegment: @unchecked Sendable {
  let log: SegmentWriter
  /// No further loans are made from it.
  var isRetired = false

  init(
    _ granted: LeaseGranted, mapping descriptor: consuming OwnedDescriptor, node: NodeConnection
  ) throws(MemoryError) {
    let id = granted.segment.id
    log = try SegmentWriter(
      mapping: descriptor, capacity: Int(clamping: granted.capacity), identity: granted.segment,
      onUnmap: { node.send(.segmentUnmapped(id, by: nil)) })
  }

  /// A new life of the same memory.
  func begin(epoch: UInt32) {
    log.begin(epoch: epoch)
    isRetired = false
  }

  func reserve(_ wish: PublisherCore.Wish) -> Reservation? {
    log.reserve(byteCount: wish.byteCount, alignment: wish.alignment, attributes: wish.attributes.span)
  }
}
