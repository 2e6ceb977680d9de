import ArgumentParser
import PoolBus
import ToolSupport

struct Users: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the users, with what their clients have together, of what they may have.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "users")
    try listing.show(
      snapshot.users, none: "no users",
      columns: [
        .number("UID") { $0.userID },
        .number("CLIENTS") { share($0.clients, $0.clientQuota) },
        .number("SUBSCRIBERS") { share($0.subscriptions, $0.subscriptionQuota) },
        .number("SEGMENTS") { share($0.segments, $0.segmentQuota) },
        .number("HELD") { ByteSize($0.bytes) },
        .number("QUOTA") { $0.byteQuota.map { "\(ByteSize($0))" } ?? "-" },
      ])
  }

  private func share(_ count: UInt64, _ quota: UInt64?) -> String {
    quota.map { "\(count) of \($0)" } ?? "\(count)"
  }
}
