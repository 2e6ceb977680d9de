/// A topic: slash-separated levels, as in `camera/front`.
///
/// One to 255 bytes of UTF-8; no level is empty; `*` and control characters are not allowed.
public struct TopicName: Hashable, Comparable, Sendable, CustomStringConvertible {
  public static let maximumByteCount = 255

  public let text: String

  /// - Throws: ``InvalidTopic``, which says what is wrong with the text.
  public init(_ text: String) throws(InvalidTopic) {
    for level in try levels(of: text) where level.contains("*") {
      throw InvalidTopic(text: text, problem: "a topic can't hold '*': only a pattern can")
    }
    self.text = text
  }

  public var description: String { text }
  public static func < (a: Self, b: Self) -> Bool { a.text < b.text }
}

/// The topics a subscription wants: `*` stands for one level, a final `**` for any number of levels, also none.
///
/// `camera/*` matches `camera/front`; `camera/**` matches `camera`, `camera/front` and `camera/front/raw`; `**` matches
/// every topic.
public struct TopicPattern: Hashable, Sendable, CustomStringConvertible {
  public let text: String
  private let levels: [Level]
  private let matchesAnyDepth: Bool

  private enum Level: Hashable, Sendable {
    case any
    case named(Substring)
  }

  /// - Throws: ``InvalidTopic``, which says what is wrong with the text.
  public init(_ text: String) throws(InvalidTopic) {
    var parts = try Vocabulary.levels(of: text)
    matchesAnyDepth = parts.last == "**"
    if matchesAnyDepth { parts.removeLast() }
    var levels: [Level] = []
    for part in parts {
      if part == "*" {
        levels.append(.any)
      } else if part.contains("*") {
        throw InvalidTopic(
          text: text, problem: "'*' stands for a whole level and '**' only at the end, but a level here is '\(part)'")
      } else {
        levels.append(.named(part))
      }
    }
    self.levels = levels
    self.text = text
  }

  /// The pattern that matches just this topic.
  public init(_ topic: TopicName) {
    text = topic.text
    levels = topic.text.split(separator: "/").map { .named($0) }
    matchesAnyDepth = false
  }

  /// `**`: every topic.
  public static let everything = TopicPattern(everything: ())

  private init(everything: Void) {
    text = "**"
    levels = []
    matchesAnyDepth = true
  }

  public func matches(_ topic: TopicName) -> Bool {
    var rest = topic.text.split(separator: "/")[...]
    for level in levels {
      guard let part = rest.popFirst() else { return false }
      if case .named(let name) = level, name != part { return false }
    }
    return matchesAnyDepth || rest.isEmpty
  }

  /// Whether a topic can match both.
  public func overlaps(_ other: TopicPattern) -> Bool {
    for (mine, others) in zip(levels, other.levels) {
      if case (.named(let a), .named(let b)) = (mine, others), a != b { return false }
    }
    if levels.count == other.levels.count { return true }
    return levels.count < other.levels.count ? matchesAnyDepth : other.matchesAnyDepth
  }

  /// Whether this matches every topic that the other matches.
  public func covers(_ other: TopicPattern) -> Bool {
    guard levels.count <= other.levels.count else { return false }
    for (mine, others) in zip(levels, other.levels) {
      if case .named = mine, mine != others { return false }
    }
    return matchesAnyDepth || (levels.count == other.levels.count && !other.matchesAnyDepth)
  }

  public var description: String { text }
  public static func == (a: Self, b: Self) -> Bool { a.text == b.text }
  public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// A text that is no topic, or no pattern.
public struct InvalidTopic: Error, Hashable, Sendable, CustomStringConvertible {
  public let text: String
  public let problem: String

  public var description: String { "'\(text)' is not a valid topic: \(problem)" }
}

private func levels(of text: String) throws(InvalidTopic) -> [Substring] {
  func invalid(_ problem: String) -> InvalidTopic { InvalidTopic(text: text, problem: problem) }

  if text.isEmpty { throw invalid("it is empty; write one or more levels, as in 'camera/front'") }
  if text.utf8.count > TopicName.maximumByteCount {
    throw invalid("it has \(text.utf8.count) bytes; \(TopicName.maximumByteCount) are allowed")
  }
  if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { throw invalid("it holds a control character") }
  let levels = text.split(separator: "/", omittingEmptySubsequences: false)
  if levels.contains("") { throw invalid("a level is empty; write 'a/b', without '/' at either end or twice in a row") }
  return levels
}
