import Vocabulary

/// Who may publish, subscribe to and inspect which topics: the first rule that fits decides; if none does, nobody may.
public struct AccessList: Hashable, Sendable {
  public var rules: [AccessRule]

  public init(_ rules: [AccessRule]) { self.rules = rules }

  /// The topics with which the peer may do this.
  func topics(for peer: Peer, _ action: AccessRule.Action) -> TopicFilter {
    TopicFilter(
      rules.filter { rule in rule.actions.contains(action) && rule.principals.contains { $0.includes(peer) } }
        .map { TopicFilter.Rule($0.pattern, allows: $0.allows) })
  }
}

/// One line of an access list.
public struct AccessRule: Hashable, Sendable {
  public enum Action: String, Hashable, Sendable, CaseIterable {
    case publish, subscribe, inspect
  }

  public var allows: Bool
  public var actions: Set<Action>
  public var pattern: TopicPattern
  public var principals: [Principal]

  public init(allows: Bool, actions: Set<Action>, pattern: TopicPattern, principals: [Principal]) {
    self.allows = allows
    self.actions = actions
    self.pattern = pattern
    self.principals = principals
  }

  private static let example = "write it as in 'allow publish subscribe camera/** to user:camera group:vision'"

  /// - Parameter text: `allow` or `deny`, then one or more of `publish`, `subscribe` and `inspect`, a topic pattern, `to`,
  ///   and one or more of `user:NAME`, `group:NAME` and `everyone`.
  /// - Throws: ``InvalidRule``.
  public init(_ text: String) throws(InvalidRule) {
    let words = text.split(separator: " ")
    guard let verb = words.first, verb == "allow" || verb == "deny" else {
      throw InvalidRule("a rule begins with allow or deny: \(Self.example)")
    }
    let actions = words.dropFirst().prefix { Action(rawValue: String($0)) != nil }
    guard !actions.isEmpty else {
      throw InvalidRule("it must say what: publish, subscribe or inspect; \(Self.example)")
    }
    let rest = words[actions.endIndex...]
    // A topic may hold spaces, and the word 'to'; whom a rule is about holds neither.
    guard let to = rest.lastIndex(of: "to"), to > rest.startIndex, to < rest.endIndex - 1 else {
      throw InvalidRule("it must name a topic pattern and to whom; \(Self.example)")
    }
    let pattern: TopicPattern
    do {
      pattern = try TopicPattern(rest[..<to].joined(separator: " "))
    } catch {
      throw InvalidRule("\(error); \(Self.example)")
    }
    var principals: [Principal] = []
    for word in rest[(to + 1)...] { principals.append(try Principal(word)) }
    self.init(
      allows: verb == "allow", actions: Set(actions.compactMap { Action(rawValue: String($0)) }), pattern: pattern,
      principals: principals)
  }
}
