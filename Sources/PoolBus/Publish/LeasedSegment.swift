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
  /// Whose lease it is. A publisher lets go of its segments when it is closed, so that the two do not hold each other.
  let publisher: PublisherCore
  let lane: Lane.Kind
  /// No further loans are made from it in this life.
  var isRetired = false
  /// The node was told that this life is over: it is the node's to reclaim.
  var isSealed = false
  /// It is of an earlier node's pool, and so never renewed.
  var isAdopted = false
  /// Somebody has left who may still read it: it is not renewed.
  var isForced = false
  /// The segment that follows it was asked for.
  var hasSuccessor = false
  /// How many subscriptions had joined when this life ended: each of them may need it.
  var joins: UInt64 = 0

  init(
    _ granted: LeaseGranted, mapping descriptor: consuming OwnedDescriptor, of publisher: PublisherCore,
    lane: Lane.Kind, node: NodeConnection
  ) throws(MemoryError) {
    self.publisher = publisher
    self.lane = lane
    let id = granted.segment.id
    log = try SegmentWriter(
      mapping: descriptor, capacity: Int(clamping: granted.capacity), identity: granted.segment,
      onUnmap: { node.send(.segmentUnmapped(id, by: nil)) })
  }

  /// A new life of the same memory.
  func begin(epoch: UInt32, after lastSequence: UInt64) {
    log.begin(epoch: epoch, after: lastSequence)
    isRetired = false
    isSealed = false
    isForced = false
    hasSuccessor = false
  }

  // Loans come back by these: what is constant here need not be held anew, as it must where a loan says it.

  func commit(_ reservation: Reservation, byteCount: Int, elementStride: UInt32) throws(BusError) {
    try publisher.commit(reservation, in: self, byteCount: byteCount, elementStride: elementStride)
  }

  func cancel(_ reservation: Reservation) { publisher.cancel(reservation, in: self) }
}
