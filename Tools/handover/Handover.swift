import ArgumentParser

/// The demonstration: one process hands files over, three verify every byte of them.
@main
struct Handover: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hands every file below a folder over to three processes, which verify it.",
    subcommands: [Run.self, Publish.self, Receive.self], defaultSubcommand: Run.self)

  /// Where the files travel.
  static let topic = "handover/files"
  /// User attributes of the messages.
  static let pathAttribute = "path"
  static let endAttribute = "end"
}
