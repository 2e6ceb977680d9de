import ArgumentParser

/// The kinds of work that are measured.
enum Work: String, CaseIterable, Codable, ExpressibleByArgument {
  case latency, throughput
  /// Latency of a message that comes alone, to a reader that sleeps.
  case wake
  /// One publisher to 8 subscribers at 1 MiB; 8 publishers to one subscriber at 4 KiB.
  case fans
  /// What more topics, subscribers, bytes and pool cost, and what the node does meanwhile.
  case growth

  /// Whether a ping and a pong do it.
  var isRoundTrip: Bool { self == .latency || self == .wake }
  /// What systems are compared by.
  var metric: Metric { isRoundTrip ? .p50 : .messagesPerSecond }
}

/// What a work depends on.
struct Configuration: Codable, Hashable, Sendable {
  var size: Int
  /// Payloads are written whole and read whole.
  var isTouched = true
  var mode: System.Mode = .block
  var publishers = 1
  var subscribers = 1
  var topics = 1
  /// Bytes of the pool; nil leaves it to the system, which then takes what the work needs.
  var pool: Int?
  /// Microseconds between two round trips; nil for none.
  var pause: Int?
  /// Messages a second that each source sends at the most; nil for as many as it can.
  var rate: Int?

  /// About as many as a system may have: of payloads that are not written whole there are many more.
  var bytesUnderWay: Int { size * (isTouched ? 8 : 128) }

  func waiting(_ mode: System.Mode) -> Configuration {
    var configuration = self
    configuration.mode = mode
    return configuration
  }
}

extension Configuration: CustomStringConvertible {
  var description: String {
    var words = ["\(size) bytes"]
    if !isTouched { words.append("untouched") }
    words.append(mode.rawValue)
    if publishers > 1 || subscribers > 1 { words.append("\(publishers):\(subscribers)") }
    if topics > 1 { words.append("\(topics) topics") }
    if let pool { words.append("pool of \(pool >> 20) MiB") }
    if let pause { words.append("each \(pause) us") }
    if let rate { words.append("\(rate)/s each") }
    return words.joined(separator: ", ")
  }
}
