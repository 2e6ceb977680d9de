/// Whose messages a segment holds, in all of its lives.
public struct SegmentOrigin: Hashable, Sendable {
  public var stream: StreamID
  public var topic: TopicName

  public init(_ stream: StreamID, _ topic: TopicName) {
    self.stream = stream
    self.topic = topic
  }
}

/// Where the ledger counts a segment's bytes. What is in no segment is free.
public enum SegmentState: String, Hashable, Codable, Sendable, CaseIterable {
  /// Granted to a publisher, which has not sealed it.
  case leased
  /// Complete, and awaiting the releases of those it was promised to.
  case sealed
  /// Released by all, and kept for late joiners.
  case retained
  /// Released by all, and kept mapped for its publisher's next lease.
  case warm
  /// Taken out of use, but still mapped by somebody.
  case pinned
}

/// How far a subscription is with a segment.
public enum ReadingProgress: Hashable, Sendable, CaseIterable {
  /// It has not come to its end.
  case unread
  /// It has, but still borrows from it.
  case passed
  /// It is done with it, and has it only mapped.
  case released
}
