import Platform
import PooledMemory
import Vocabulary

/// Segments of the node's earlier life, which the service manager kept: until the clients that had them bring them back, or
/// the grace period is over and nobody will.
struct InheritedSegments {
  private var unclaimed: [SegmentID: InheritedSegment]
  /// When the grace period ends; nil if nothing is left to wait for.
  private(set) var deadline: UInt64?

  /// - Parameter deadline: by the monotonic clock, in nanoseconds.
  init(_ segments: [InheritedSegment], deadline: UInt64) {
    unclaimed = Dictionary(segments.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    self.deadline = segments.isEmpty ? nil : deadline
  }

  /// Which memory is this segment, by the service manager's word; nil if it does not say.
  func memory(of id: SegmentID) -> MemoryFile.Identity? { unclaimed[id]?.memory }

  /// The segment is the node's again.
  ///
  /// - Returns: whether it was among these.
  mutating func claim(_ id: SegmentID) -> Bool {
    defer { if unclaimed.isEmpty { deadline = nil } }
    return unclaimed.removeValue(forKey: id) != nil
  }

  /// What is over: the segments that the service manager shall forget. Empty before the deadline.
  mutating func expire(at now: UInt64) -> [SegmentID] {
    guard let deadline, deadline <= now else { return [] }
    defer {
      unclaimed = [:]
      self.deadline = nil
    }
    return unclaimed.keys.sorted()
  }
}

/// A segment that a service manager kept.
final class InheritedSegment: Sendable {
  let id: SegmentID
  let memory: MemoryFile.Identity
  /// Kept open, so that no other memory gets the same identity.
  private let file: SegmentFile

  /// - Returns: nil if the descriptor is not this segment's: then it is closed.
  init?(_ id: SegmentID, _ descriptor: consuming OwnedDescriptor) {
    guard let capacity = try? MemoryFile.byteCount(of: descriptor.raw),
      let file = try? SegmentFile.adopt(descriptor, id: id, of: nil, capacity: capacity),
      let memory = try? file.fileIdentity()
    else { return nil }
    self.id = id
    self.memory = memory
    self.file = file
  }
}
