import Vocabulary

/// Streams that a subscription has read to their ends, and whose publishers may go on at a later node, which must not begin
/// anew with them.
struct DepartedStreams {
  /// As many are kept in mind; of more, the latest.
  static let most = 1024

  /// Where the subscription stands in each, the oldest first. They hold no segments.
  private(set) var all: [StreamCursor] = []

  /// - Parameter cursor: has been read to its end.
  mutating func add(_ cursor: StreamCursor) {
    if all.count == Self.most { all.removeFirst() }
    all.append(StreamCursor(topic: cursor.topic, stream: cursor.stream, firstSequence: cursor.expected))
  }

  mutating func remove(_ stream: StreamID) -> StreamCursor? {
    all.firstIndex { $0.stream == stream }.map { all.remove(at: $0) }
  }
}
