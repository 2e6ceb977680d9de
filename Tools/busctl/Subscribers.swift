import ArgumentParser
import PoolBus
import ToolSupport

struct Subscribers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists subscriptions and how far behind they are.",
    discussion: """
      The backlog counts messages, and bytes of the pool, in sealed segments that the subscription has not released; \
      LAGGED counts messages that it lost to a policy. Observers see handles only, and hold no memory.
      """)

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "subscribers")
    try listing.show(
      snapshot.subscriptions, none: "no subscribers",
      columns: [
        .number("SUBSCRIPTION") { $0.subscription.text },
        .text("PATTERN") { $0.pattern.text },
      ] + snapshot.clientsByID.fields(\.client) + [
        .number("BACKLOG") { $0.observes ? "observes" : "\($0.backlogMessages)" },
        .number("SIZE") { ByteSize($0.backlogBytes) },
        .number("SEGMENTS") { $0.backlogSegments },
        .number("LAGGED") { $0.laggedMessages },
        .text("JOINED") { "\(age($0.joinedNanosecondsAgo)) ago" },
      ])
  }
}
