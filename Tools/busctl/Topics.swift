import ArgumentParser
import PoolBus
import ToolSupport

struct Topics: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the topics that have a publisher, a subscriber or a segment.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "topics")
    try listing.show(
      snapshot.topics, none: "no topics",
      columns: [
        .text("TOPIC") { $0.topic.text },
        .number("PUBLISHERS") { $0.publishers },
        .number("SUBSCRIBERS") { $0.subscriptions },
        .number("SEGMENTS") { $0.segments },
        .number("SIZE") { ByteSize($0.bytes) },
        .number("QUOTA") { ByteSize($0.quota) },
        .text("RETAINS") { Self.text($0.retention) },
      ])
  }

  private static func text(_ retention: Retention) -> String {
    var limits: [String] = []
    if let messages = retention.messages { limits.append(counted(messages, "message")) }
    if let bytes = retention.bytes { limits.append("\(ByteSize(bytes))") }
    if let age = retention.age { limits.append("\(TimeSpan(age))") }
    return limits.isEmpty ? "nothing" : limits.joined(separator: ", ")
  }
}
