import ArgumentParser

/// The processes of the demonstration, which `Tools/demo` starts: one hands files over, the others verify them.
@main
struct Handover: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hands every file below a folder over to processes that verify it.",
    subcommands: [Publish.self, Receive.self])

  /// Where the files travel; the topic of the way back is ``receipts``.
  static let files = "handover/files"
  static let receipts = "handover/receipts"
  /// User attributes: a message's file, relative to the folder; the last message of a round.
  static let path = "path"
  static let end = "end"
}

/// The files are handed over twice. The first time also brings them into the system's cache.
enum Round: CaseIterable {
  /// Each subscriber compares each payload with the file on disk.
  case verified
  /// Each subscriber reads each byte once: what the hand-over itself takes.
  case readOnce
}

/// What a subscriber received in one round; it goes back to the publisher over the bus.
struct Receipt: Codable {
  var files = 0
  var bytes = 0
  /// Of all that was read once.
  var sum: UInt64 = 0
  /// Files whose payload is not what is on disk, and in what way.
  var differing: [String] = []
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
