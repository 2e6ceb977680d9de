/// What a publisher does when the pool, or its topic's quota, is full.
public enum FullPolicy: Hashable, Sendable {
  /// Waits until memory is given back; for ever if `timeout` is nil.
  case wait(timeout: Duration?)
  /// Fails at once.
  case fail
  /// Takes its own topic's oldest sealed segments; subscribers that had not read them get an explicit lag. It does not queue
  /// behind publishers that wait: it gets what it evicts, and free memory stays theirs.
  case evictOldest
}

/// What a topic keeps beyond acknowledgement, for late joiners.
///
/// A message is kept as long as it is within every limit that is set; with none set, nothing is kept. Retained memory is
/// the first to go under pressure.
public struct Retention: Hashable, Sendable {
  /// The last so many messages.
  public var messages: UInt64?
  /// As many of the last messages as lie in so many bytes of the pool.
  public var bytes: UInt64?
  /// Messages that are not older than this.
  public var age: Duration?

  public init(messages: UInt64? = nil, bytes: UInt64? = nil, age: Duration? = nil) {
    self.messages = messages
    self.bytes = bytes
    self.age = age
  }

  /// Keeps nothing.
  public static let none = Retention()

  public var keepsNothing: Bool { messages == nil && bytes == nil && age == nil }
}

/// Beyond which backlog a subscription lags, so that it can't hold everybody's memory.
///
/// Counted over sealed segments that the subscription has not released.
public struct BacklogLimit: Hashable, Sendable {
  public var messages: UInt64?
  public var bytes: UInt64?

  public init(messages: UInt64? = nil, bytes: UInt64? = nil) {
    self.messages = messages
    self.bytes = bytes
  }

  /// The subscription never lags; its publishers' policy decides what happens when the pool is full.
  public static let none = BacklogLimit()
}

/// How many bytes of the pool the topics of a pattern may hold, each.
public struct TopicQuota: Hashable, Sendable {
  public var pattern: TopicPattern
  public var bytes: UInt64

  public init(pattern: TopicPattern, bytes: UInt64) {
    self.pattern = pattern
    self.bytes = bytes
  }
}
