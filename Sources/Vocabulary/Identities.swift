/// A process joined to its host's node.
public struct ClientID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public var description: String { "client \(rawValue)" }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The ordered messages of one publisher on one topic; it names that publisher too.
public struct StreamID: Hashable, Comparable, Sendable, GivenID, CustomStringConvertible {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public var description: String { "stream \(text)" }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One client's interest in the topics of a pattern.
public struct SubscriptionID: Hashable, Comparable, Sendable, GivenID, CustomStringConvertible {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public var description: String { "subscription \(text)" }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A memfd of the pool, through all its lives.
public struct SegmentID: Hashable, Comparable, Sendable, GivenID, CustomStringConvertible {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public var description: String { "segment \(text)" }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One life of a segment: the epoch rises each time the memory is used anew.
public struct SegmentIdentity: Hashable, Sendable, CustomStringConvertible {
  public var id: SegmentID
  public var epoch: UInt32
  public init(id: SegmentID, epoch: UInt32) {
    self.id = id
    self.epoch = epoch
  }
  public var description: String { "\(id).\(epoch)" }
}
