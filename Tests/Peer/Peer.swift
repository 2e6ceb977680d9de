import ArgumentParser

/// The real process at either end of the end-to-end tests.
///
/// It is told what to do on standard input and says what happens on standard output, a line each, so that tests wait for
/// events and never for time. The end of its input ends it.
@main
struct Peer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "poolbus-peer", abstract: "A node, a publisher or a subscriber that does as it is told.",
    subcommands: [NodeCommand.self, PublishCommand.self, SubscribeCommand.self, LieCommand.self])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      say("error", error)
      exit(withError: error)
    }
  }
}
