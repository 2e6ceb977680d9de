import PoolBus
import ToolSupport

/// What `busctl subscribe` does with messages.
protocol MessageSink {
  mutating func take(_ sample: borrowing Sample) throws
}

/// A received message without its payload, as `--json` shows it.
struct MessageRow: Encodable {
  let topic: TopicName
  let stream: StreamID
  let sequence: UInt64
  let byteCount: Int
  /// Nanoseconds since 1970.
  let publishTime: UInt64
  let contentType: String?
  let traceParent: String?
  let traceState: String?
  let attributes: [String: String]
  /// Where the payload was written.
  var path: String?

  init(_ sample: borrowing Sample) {
    topic = sample.topic
    stream = sample.stream
    sequence = sample.sequence
    byteCount = sample.byteCount
    publishTime = sample.publishTime
    let attributes = sample.readableAttributes()
    contentType = attributes.contentType
    traceParent = attributes.traceParent
    traceState = attributes.traceState
    self.attributes = attributes.user
  }

  /// For people, on one line.
  var text: String {
    var fields = [
      "\(TimeOfDay(nanosecondsSince1970: publishTime))", topic.text, "\(stream)", "#\(sequence)",
      "\(ByteSize(UInt64(byteCount)))",
    ]
    if let contentType { fields.append(contentType) }
    fields += attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return EscapedText.line(fields.joined(separator: "  "))
  }
}

extension Sample {
  /// None, and a word to the user, if the publisher wrote nonsense.
  fileprivate borrowing func readableAttributes() -> MessageAttributes {
    do {
      return try attributes()
    } catch {
      Console.report("message \(sequence) of \(topic): \(error)")
      return .none
    }
  }
}

/// One line for each message.
struct LineSink: MessageSink {
  let json: Bool

  func take(_ sample: borrowing Sample) throws {
    let row = MessageRow(sample)
    try Console.print(json ? JSON.line(row) : row.text)
  }
}

/// The payloads themselves, as text that a terminal can show; each ends its line.
struct TextSink: MessageSink {
  func take(_ sample: borrowing Sample) throws {
    var endsLine = false
    try EscapedText.lines(Span<UInt8>(_bytes: sample.bytes)) { chunk in
      endsLine = chunk.last == 0x0A
      try Console.print(chunk)
    }
    if !endsLine { try Console.print("") }
  }
}
