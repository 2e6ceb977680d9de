import Testing
import Vocabulary

@Suite struct TopicFilterTests {
  static let texts = ["**", "*", "a", "a/**", "a/*", "a/b", "*/b", "a/b/**", "*/*/c", "b", "b/**", "a/b/c"]
  static let topics = ["a", "b", "a/b", "a/c", "b/b", "a/b/c", "x/y/c", "b/x/c", "a/b/d/e"]

  /// Against every topic of a few: what is said of all must hold for each.
  @Test(arguments: texts, texts) func patternsAreCompared(first: String, second: String) throws {
    let (a, b) = (try TopicPattern(first), try TopicPattern(second))
    let matching = try Self.topics.map { try TopicName($0) }.filter { b.matches($0) }
    #expect(a.overlaps(b) == b.overlaps(a))
    #expect(a.overlaps(b) == matching.contains { a.matches($0) }, "\(first) and \(second)")
    #expect(!a.covers(b) || matching.allSatisfy { a.matches($0) }, "\(first) covers \(second)")
    #expect(a.covers(b) || a.text != b.text)
  }

  @Test func theFirstRuleThatMatchesDecides() throws {
    let filter = TopicFilter([
      .init(try TopicPattern("a/secret/**"), allows: false), .init(try TopicPattern("a/**"), allows: true),
      .init(try TopicPattern("a/b"), allows: false),
    ])
    for (topic, allows) in [("a", true), ("a/b", true), ("a/secret", false), ("a/secret/x", false), ("b", false)] {
      #expect(filter.allows(try TopicName(topic)) == allows, "\(topic)")
    }
    for (pattern, may) in [
      ("**", true), ("a/*", true), ("a/secret/*", false), ("a/secret/**", false), ("b/**", false), ("*/x", true),
    ] {
      #expect(filter.mayAllow(try TopicPattern(pattern)) == may, "\(pattern)")
    }
    #expect(TopicFilter.all.allows(try TopicName("x")) && TopicFilter.all.mayAllow(.everything))
    #expect(!TopicFilter([]).mayAllow(.everything))
  }
}
