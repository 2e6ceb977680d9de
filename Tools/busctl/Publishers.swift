import ArgumentParser
import PoolBus
import ToolSupport

struct Publishers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists publishers by their streams, also those that are gone but have left segments.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "publishers")
    try listing.show(
      snapshot.streams, none: "no publishers",
      columns: [
        .number("STREAM") { $0.stream.text },
        .text("TOPIC") { $0.topic.text },
      ] + snapshot.clientsByID.fields(\.client) + [
        .number("MESSAGES") { $0.lastSequence },
        .number("SEGMENTS") { $0.segments },
        .number("SIZE") { ByteSize($0.bytes) },
        .text("OPENED") { "\(age($0.openedNanosecondsAgo)) ago" },
      ])
  }
}
