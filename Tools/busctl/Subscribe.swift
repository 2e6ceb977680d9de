import ArgumentParser
import PoolBus
import ToolSupport

struct Subscribe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Receives the messages of every topic that a pattern matches.",
    discussion: """
      Prints a line for each message, or its payload with --print, or writes payloads to files with --output. A file is \
      named as the message's attribute 'file' says, or else by topic, stream and sequence; it never leaves the directory \
      and never replaces another. Ends at --count, when interrupted, or when the node is gone.

      Lost messages are reported on standard error; reading goes on, and the exit code is 2 in the end.
      """)

  @Argument(
    help: "The pattern, as in camera/*, or camera/** for any depth.", completion: .topics,
    transform: TopicPattern.init)
  var pattern: TopicPattern

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Write payloads to files in this directory.", valueName: "directory"),
    completion: .directory)
  var output: String?

  @Flag(help: "Print payloads as text; what is none, or would drive a terminal, is escaped as in \\x1B.")
  var print = false

  @Flag(help: "Print JSON for programs: a line for each message.")
  var json = false

  @Option(name: .shortAndLong, help: ArgumentHelp("End after this many messages.", valueName: "number"))
  var count: Int?

  @Option(help: ArgumentHelp("Lag rather than hold more unread messages than this.", valueName: "number"))
  var backlogMessages: UInt64?

  @Option(
    help: ArgumentHelp("Lag rather than hold more unread memory than this, as in 64MiB.", valueName: "size"),
    transform: ByteSize.init(text:))
  var backlogBytes: ByteSize?

  @Flag(help: "Start with the next message, not with those that the topics retain.")
  var noRetained = false

  @OptionGroup var node: NodeOptions

  func validate() throws {
    if print, output != nil { throw ValidationError("--print and --output exclude each other") }
    if print, json { throw ValidationError("--print and --json exclude each other") }
    if let count, count < 1 { throw ValidationError("--count must be 1 or more") }
  }

  func run() async throws {
    var sink = try makeSink()
    let end = try await node.withBus(as: "subscribe") { bus in
      let subscriber = try await bus.subscriber(to: pattern.text, options: options)
      return try await receive(from: subscriber, into: &sink)
    }
    if let count, end.received < count {
      throw Failure("interrupted after \(end.received) of \(counted(count, "message"))")
    }
    if end.hasLost { throw ExitCode.messagesLost }
  }

  /// How it ended.
  private struct End {
    var received = 0
    var hasLost = false
  }

  private func receive(from subscriber: Subscriber, into sink: inout any MessageSink) async throws -> End {
    let interruption = Interruption { subscriber.close() }
    defer { withExtendedLifetime(interruption) {} }
    var end = End()
    while end.received < count ?? .max {
      do {
        guard let sample = try await subscriber.next() else { break }
        try sink.take(sample)
        end.received += 1
      } catch let error as BusError where error.meansLoss {
        Console.report("\(error)")
        end.hasLost = true
      }
    }
    return end
  }

  private func makeSink() throws -> any MessageSink {
    if let output { return try FileSink(directory: output, json: json) }
    return print ? TextSink() : LineSink(json: json)
  }

  private var options: SubscriberOptions {
    SubscriberOptions(
      backlogLimit: BacklogLimit(messages: backlogMessages, bytes: backlogBytes?.bytes), receivesRetained: !noRetained)
  }
}
