/// A user of the host, by number.
public struct UserID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public var description: String { "user \(rawValue)" }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// Whose an awaited stream is until its publisher is back: the number that no user has (`(uid_t)-1`).
  public static let nobody = UserID(rawValue: .max)
}

/// Some of the topics: each of a list of patterns lets topics in or keeps them out, and the first that matches decides.
public struct TopicFilter: Hashable, Sendable {
  public struct Rule: Hashable, Sendable {
    public var pattern: TopicPattern
    public var allows: Bool

    public init(_ pattern: TopicPattern, allows: Bool) {
      self.pattern = pattern
      self.allows = allows
    }
  }

  private let rules: [Rule]
  /// What holds for topics that no rule matches.
  private let allowsOthers: Bool

  /// Only what the rules let in.
  public init(_ rules: [Rule]) {
    self.rules = rules
    allowsOthers = false
  }

  private init(allowsOthers: Bool) {
    rules = []
    self.allowsOthers = allowsOthers
  }

  /// Every topic.
  public static let all = TopicFilter(allowsOthers: true)

  public func allows(_ topic: TopicName) -> Bool {
    rules.first { $0.pattern.matches(topic) }?.allows ?? allowsOthers
  }

  /// Whether some topic may exist that matches the pattern and is let in.
  ///
  /// It may say yes where rules before shut out all that a later one lets in; never no where there is one.
  public func mayAllow(_ pattern: TopicPattern) -> Bool {
    if allowsOthers { return true }
    for rule in rules where rule.pattern.overlaps(pattern) {
      if rule.allows { return true }
      // Whatever the pattern matches, this keeps out.
      if rule.pattern.covers(pattern) { return false }
    }
    return false
  }
}
