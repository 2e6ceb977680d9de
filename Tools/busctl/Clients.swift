import ArgumentParser
import PoolBus

struct Clients: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the processes that have joined the node.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "clients")
    try listing.show(
      snapshot.clients, none: "no clients",
      columns: [
        .number("CLIENT") { $0.client.rawValue },
        .text("NAME") { $0.name },
        .number("PID") { $0.processID },
        .number("UID") { $0.userID },
        .number("PUBLISHERS") { row in snapshot.streams.count { $0.client == row.client } },
        .number("SUBSCRIBERS") { row in snapshot.subscriptions.count { $0.client == row.client } },
        .text("JOINED") { "\(age($0.joinedNanosecondsAgo)) ago" },
      ])
  }
}
