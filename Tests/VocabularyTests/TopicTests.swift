import Testing
import Vocabulary

@Suite struct TopicTests {
  @Test(arguments: [
    "a", "camera/front", "a/b/c/d/e/f", "camera front", "größe/µ", "日本/東京", "-/_/.", String(repeating: "x", count: 255),
    String(repeating: "a/", count: 127) + "b",
  ])
  func `a topic is levels of text`(text: String) throws {
    let topic = try TopicName(text)
    #expect(topic.text == text)
    #expect(topic.description == text)
    #expect(try TopicPattern(text).matches(topic))
    #expect(TopicPattern(topic).matches(topic))
    #expect(try TopicPattern(text) == TopicPattern(topic))
  }

  @Test(arguments: [
    ("", "it is empty"),
    ("/", "a level is empty"),
    ("/a", "a level is empty"),
    ("a/", "a level is empty"),
    ("a//b", "a level is empty"),
    ("*", "can't hold '*'"),
    ("a/*/b", "can't hold '*'"),
    ("a/**", "can't hold '*'"),
    ("a*b", "can't hold '*'"),
    ("a\nb", "control character"),
    ("a\0b", "control character"),
    ("a\u{7f}", "control character"),
    (String(repeating: "x", count: 256), "256 bytes; 255"),
    (String(repeating: "ü", count: 128), "256 bytes; 255"),
  ])
  func `what is no topic is refused with a reason`(text: String, reason: String) {
    let error = #expect(throws: InvalidTopic.self) { try TopicName(text) }
    #expect(error?.text == text)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test(arguments: [
    ("a/**/b", "only at the end"),
    ("**/a", "only at the end"),
    ("**/**", "only at the end"),
    ("a*", "whole level"),
    ("a/b*c/d", "whole level"),
    ("***", "whole level"),
    ("", "it is empty"),
    ("a//**", "a level is empty"),
    ("a/*\t", "control character"),
    (String(repeating: "*/", count: 127) + "**", "256 bytes; 255"),
  ])
  func `what is no pattern is refused with a reason`(text: String, reason: String) {
    let error = #expect(throws: InvalidTopic.self) { try TopicPattern(text) }
    #expect(error?.text == text)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test(arguments: [
    ("a", "a", true),
    ("a", "b", false),
    ("a", "a/b", false),
    ("a/b", "a", false),
    ("camera/*", "camera/front", true),
    ("camera/*", "camera", false),
    ("camera/*", "camera/front/raw", false),
    ("*", "a", true),
    ("*", "a/b", false),
    ("*/b", "a/b", true),
    ("*/b", "a/c", false),
    ("a/*/c", "a/b/c", true),
    ("a/*/c", "a/b/d", false),
    ("*/*", "a/b", true),
    ("*/*", "a", false),
    ("**", "a", true),
    ("**", "a/b/c", true),
    ("camera/**", "camera", true),
    ("camera/**", "camera/front", true),
    ("camera/**", "camera/front/raw", true),
    ("camera/**", "cameras", false),
    ("camera/**", "lidar/camera", false),
    ("*/**", "a", true),
    ("*/**", "a/b/c", true),
    ("a/*/**", "a", false),
    ("a/*/**", "a/b", true),
    ("a/*/**", "a/b/c", true),
    ("A", "a", false),
  ])
  func `a pattern matches level by level`(pattern: String, topic: String, matches: Bool) throws {
    #expect(try TopicPattern(pattern).matches(TopicName(topic)) == matches)
  }

  @Test func `equal texts are equal patterns and topics`() throws {
    #expect(try Set([TopicPattern("a/*"), TopicPattern("a/*"), TopicPattern("a/**")]).count == 2)
    #expect(try Set([TopicName("a"), TopicName("a"), TopicName("b")]).count == 2)
    #expect(try TopicName("a") < TopicName("b"))
  }
}
