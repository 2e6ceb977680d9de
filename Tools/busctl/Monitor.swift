import ArgumentParser
import PoolBus
import ToolSupport

struct Monitor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watches handles as they travel, a line for each, without holding any memory.",
    discussion: """
      A line shows when the message was published, its topic, stream and sequence, where it lies as \
      segment.epoch/slot, and its size. A batch has one handle, for its last message; messages without a handle of their \
      own are counted in the end. \
      Those of a publisher that lives for a few milliseconds only may go unseen: use 'busctl subscribe' to miss nothing.
      """)

  @Argument(
    help: "The pattern, as in camera/*, or camera/** for any depth.", completion: .topics,
    transform: TopicPattern.init)
  var pattern: TopicPattern

  @Option(name: .shortAndLong, help: ArgumentHelp("End after this many handles.", valueName: "number"))
  var count: Int?

  @Flag(help: "Print JSON for programs: a line for each handle.")
  var json = false

  @OptionGroup var node: NodeOptions

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be 1 or more") }
  }

  func run() async throws {
    try await node.withBus(as: "monitor") { bus in
      let observer = try await bus.observer(of: pattern.text)
      let interruption = Interruption { observer.close() }
      let (seen, missing) = try await watch(observer)
      if missing > 0 {
        Console.report(
          "\(counted(missing, "message")) without a handle of their own: published in batches, or their handles came too fast"
        )
      }
      guard interruption.hasHappened || seen == count else { throw BusError.nodeLost }
      if let count, seen < count { throw Failure("interrupted after \(seen) of \(counted(count, "handle"))") }
    }
  }

  /// - Returns: how many handles were seen, and how many messages between them had none.
  private func watch(_ observer: HandleObserver) async throws -> (seen: Int, missing: UInt64) {
    var seen = 0
    var streams: [StreamID: SeenHandles] = [:]
    for await observed in observer.handles {
      let row = HandleRow(observed)
      try Console.print(json ? JSON.line(row) : row.text)
      streams[row.stream, default: SeenHandles(row.sequence)].add(row.sequence)
      seen += 1
      if seen == count { break }
    }
    return (seen, streams.values.reduce(0) { $0 &+ $1.missing })
  }
}

/// Which handles of a stream were seen. Those of several threads may come out of order.
struct SeenHandles {
  private var least: UInt64
  private var greatest: UInt64
  private var count: UInt64 = 0

  init(_ first: UInt64) { (least, greatest) = (first, first) }

  mutating func add(_ sequence: UInt64) {
    least = min(least, sequence)
    greatest = max(greatest, sequence)
    count += 1
  }

  /// Messages between the first and the last whose handles were not seen.
  var missing: UInt64 {
    let others = greatest - least
    return others >= count ? others - count + 1 : 0
  }
}

/// A handle, as `--json` shows it.
private struct HandleRow: Encodable {
  let topic: TopicName
  let stream: StreamID
  let sequence: UInt64
  let segment: SegmentID
  let epoch: UInt32
  let slot: UInt32
  let byteCount: UInt64
  /// Nanoseconds since 1970.
  let publishTime: UInt64

  init(_ observed: HandleObserver.Observed) {
    let handle = observed.handle
    topic = observed.topic
    stream = handle.stream
    sequence = handle.sequence
    segment = handle.segment.id
    epoch = handle.segment.epoch
    slot = handle.slot
    byteCount = handle.byteCount
    publishTime = handle.publishTime
  }

  /// For people, on one line.
  var text: String {
    let time = TimeOfDay(nanosecondsSince1970: publishTime)
    return "\(time)  \(topic)  \(stream)  #\(sequence)  \(segment.text).\(epoch)/\(slot)  \(ByteSize(byteCount))"
  }
}
