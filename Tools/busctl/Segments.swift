import ArgumentParser
import PoolBus
import ToolSupport

struct Segments: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the segments of the pool, and in which state of the ledger each is.",
    discussion: "'busctl why SEGMENT' tells who holds one.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "segments")
    let holders = Dictionary(grouping: snapshot.holders, by: \.segment)
    try listing.show(
      snapshot.segments, none: "no segments: the whole pool is free",
      columns: [
        .text("SEGMENT") { "\($0.segment.text).\($0.epoch)" },
        .text("STATE") { $0.state.rawValue },
        .text("SINCE") { "\(age($0.stateNanosecondsAgo)) ago" },
        .number("SIZE") { ByteSize($0.capacity) },
        .number("MESSAGES") { $0.messages },
        .text("TOPIC") { $0.topic.text },
        .number("STREAM") { $0.stream.text },
        .number("HOLDERS") { holders[$0.segment]?.count ?? 0 },
      ])
  }
}
