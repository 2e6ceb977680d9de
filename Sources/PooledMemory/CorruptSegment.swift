import Vocabulary

/// A slot that can't be what a correct publisher wrote. Of what that look found, nothing was used.
public struct CorruptSegment: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Field: String, Hashable, Sendable {
    case index, checksum, sequence, offset, byteCount, attributesOffset, attributesByteCount
  }

  public let identity: SegmentIdentity
  public let slot: UInt32
  public let field: Field
  /// What the field holds.
  public let value: UInt64
  /// What it may hold there.
  public let allowed: ClosedRange<UInt64>

  public init(identity: SegmentIdentity, slot: UInt32, field: Field, value: UInt64, allowed: ClosedRange<UInt64>) {
    self.identity = identity
    self.slot = slot
    self.field = field
    self.value = value
    self.allowed = allowed
  }

  public var problem: String {
    allowed.lowerBound == allowed.upperBound
      ? "\(field.rawValue) is \(value) and should be \(allowed.lowerBound)"
      : "\(field.rawValue) is \(value) and should be within \(allowed)"
  }

  public var description: String {
    "\(identity) is corrupt: \(problem) in slot \(slot). Its publisher is faulty or hostile; drop the segment."
  }
}
