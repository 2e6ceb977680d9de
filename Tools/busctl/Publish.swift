import ArgumentParser
import PoolBus
import SystemPackage
import ToolSupport

struct Publish: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Publishes files, or standard input, on a topic: each as one message.",
    discussion: """
      Files are read straight into the pool. A message carries its file's path as the attribute 'file'. Who subscribes \
      afterwards gets the message only if the topic retains it.
      """)

  @Argument(help: "The topic, as in camera/front.", completion: .topics, transform: TopicName.init)
  var topic: TopicName

  @Argument(help: "Files to publish, in this order; '-' or none is standard input.", completion: .file())
  var files: [String] = []

  @Option(help: ArgumentHelp("What the payloads are, as in image/jpeg.", valueName: "media type"))
  var contentType: String?

  @Option(
    name: .customLong("attribute"),
    help: ArgumentHelp("An attribute of every message; may be given several times.", valueName: "key=value"))
  var attributes: [Attribute] = []

  @Option(help: "What to do while the pool, or the topic's quota, is full: wait, fail, or evict-oldest.")
  var whenFull: WhenFull = .wait

  @Option(
    help: ArgumentHelp("How long to wait for memory, as in 5s (default: for ever).", valueName: "time"),
    transform: TimeSpan.init(text:))
  var timeout: TimeSpan?

  @Option(help: ArgumentHelp("Keep this many of the topic's last messages for late joiners.", valueName: "number"))
  var retainMessages: UInt64?

  @Option(
    help: ArgumentHelp("Keep this much of the topic's last messages, as in 64MiB.", valueName: "size"),
    transform: ByteSize.init(text:))
  var retainBytes: ByteSize?

  @Option(
    help: ArgumentHelp("Keep the topic's messages for this long, as in 10min.", valueName: "time"),
    transform: TimeSpan.init(text:))
  var retainAge: TimeSpan?

  @OptionGroup var node: NodeOptions

  func validate() throws {
    if timeout != nil, whenFull != .wait { throw ValidationError("--timeout is for '--when-full wait' only") }
    let keys = attributes.map(\.key)
    if let key = keys.first(where: { key in keys.count { $0 == key } > 1 }) {
      throw ValidationError("--attribute gives '\(key)' twice")
    }
  }

  func run() async throws {
    let paths = files.isEmpty ? ["-"] : files
    var progress = Progress(total: try Self.totalByteCount(of: paths))
    defer { progress.clear() }
    try await node.withBus(as: "publish") { bus in
      let publisher = try await bus.publisher(for: topic.text, options: options)
      for path in paths {
        let file = try InputFile(path: path)
        try await file.publish(
          on: publisher, attributes: attributes(of: file.name), limit: bus.contribution, progress: &progress)
      }
      publisher.close()
    }
  }

  private var options: PublisherOptions {
    let policy: FullPolicy =
      switch whenFull {
      case .wait: .wait(timeout: timeout?.duration)
      case .fail: .fail
      case .evictOldest: .evictOldest
      }
    let retention = Retention(messages: retainMessages, bytes: retainBytes?.bytes, age: retainAge?.duration)
    return PublisherOptions(whenFull: policy, retention: retention.keepsNothing ? nil : retention)
  }

  private func attributes(of file: String?) -> MessageAttributes {
    var user = Dictionary(attributes.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    if let file, user["file"] == nil { user["file"] = file }
    return MessageAttributes(contentType: contentType, user: user)
  }

  /// Looks at every file before the first is published, so that a wrong name spoils nothing.
  ///
  /// - Returns: nil if reading alone can tell.
  private static func totalByteCount(of paths: [String]) throws -> UInt64? {
    var total: UInt64? = 0
    for path in paths {
      let byteCount = try InputFile.look(at: path)
      total = byteCount.flatMap { total?.addingReportingOverflow($0).partialValue }
    }
    return total
  }
}

enum WhenFull: String, ExpressibleByArgument, CaseIterable {
  case wait
  case fail
  case evictOldest = "evict-oldest"
}

/// A message's attribute, as in `camera=front`.
struct Attribute: ExpressibleByArgument {
  let key: String
  let value: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
    key = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
  }
}
