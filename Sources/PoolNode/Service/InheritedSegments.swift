import Platform
import PooledMemory
import Vocabulary

/// A segment of the node's earlier life, which the service manager kept.
final class InheritedSegment: Sendable {
  let name: StoredSegmentName
  /// Bytes; its length is sealed.
  let capacity: Int
  let file: OwnedDescriptor

  /// - Returns: nil if the descriptor is no segment's: then it is closed.
  init?(name: StoredSegmentName, file: consuming OwnedDescriptor) {
    guard let seals = try? MemoryFile.seals(of: file.raw), seals.isSuperset(of: [.shrink, .grow]),
      let capacity = try? MemoryFile.byteCount(of: file.raw), SegmentLayout.allows(capacity: capacity)
    else { return nil }
    self.name = name
    self.capacity = capacity
    self.file = file
  }
}

/// What the service manager kept of an earlier life, until somebody claims it. Who adopts segments after a restart takes
/// them here; what nobody wants within the grace period is forgotten, so that its memory is free.
struct InheritedSegments {
  private var unclaimed: [StoredSegmentName: InheritedSegment]
  /// When the grace period ends; nil if nothing is left to wait for.
  private(set) var deadline: UInt64?

  /// - Parameter deadline: by the monotonic clock, in nanoseconds.
  init(_ segments: [InheritedSegment], deadline: UInt64) {
    unclaimed = Dictionary(segments.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.deadline = segments.isEmpty ? nil : deadline
  }

  /// The segments that nobody has claimed yet, in the order of their ids.
  var all: [InheritedSegment] { unclaimed.values.sorted { $0.name.id < $1.name.id } }

  /// Gives a segment to whoever adopts it; ``DescriptorStore/adopt(_:as:)`` then keeps its name. Once each.
  mutating func claim(_ name: StoredSegmentName) -> InheritedSegment? {
    defer { if unclaimed.isEmpty { deadline = nil } }
    return unclaimed.removeValue(forKey: name)
  }

  /// What is over: the names that the service manager shall forget. Empty before the deadline.
  mutating func expire(at now: UInt64) -> [StoredSegmentName] {
    guard let deadline, deadline <= now else { return [] }
    defer {
      unclaimed = [:]
      self.deadline = nil
    }
    return all.map(\.name)
  }
}
