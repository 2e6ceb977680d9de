/// One life of a node: a number by which the ids that it gives differ from those of its lives before and after.
///
/// Streams, subscriptions and segments outlive the node that named them. Their ids carry its life in the upper half, so
/// that a node which starts anew gives no id that one of its clients may still have. 21 bits, as an id then fits 53, and
/// so a JSON number.
public struct NodeLife: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  public static let range: ClosedRange<UInt32> = 1...(1 << 21 - 1)

  public let rawValue: UInt32

  /// Nil unless the number is within ``range``.
  public init?(rawValue: UInt32) {
    guard Self.range.contains(rawValue) else { return nil }
    self.rawValue = rawValue
  }

  public static func random() -> NodeLife { NodeLife(checked: .random(in: range)) }

  private init(checked: UInt32) { rawValue = checked }

  /// Where the ids of this life begin: they are counted up from here.
  public var firstID: UInt64 { UInt64(rawValue) << 32 }

  /// Whether an id was given in this life.
  public func gave(_ id: some RawRepresentable<UInt64>) -> Bool { id.rawValue >> 32 == UInt64(rawValue) }

  public var description: String { "life \(rawValue)" }
}
