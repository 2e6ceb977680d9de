/// All that is known of an episode when it is over: what everybody wrote down, and what was done to whom.
struct Evidence: Sendable {
  var streams: [StreamEvidence] = []
  var subscriptions: [SubscriptionEvidence] = []
  var harm: [Harm] = []
  /// Whether a client whose node was killed must live through it.
  var expectsRejoin = false

  /// What was done to a process, when.
  struct Harm: Equatable, Sendable {
    var target: Target
    var fault: Fault
    var time: UInt64

    var isRestart: Bool { if case .restart = fault { true } else { false } }
  }

  func wasHarmed(_ target: Target, by isKind: (Fault) -> Bool) -> Bool {
    harm.contains { $0.target == target && isKind($0.fault) }
  }

  /// From when on anything may have come of what a process itself did; nil if nothing ruinous was done to it.
  func ruin(of worker: Int) -> UInt64? {
    harm.filter { $0.target == .worker(worker) && $0.fault.isRuinous }.map(\.time).min()
  }

  /// From when on nobody can say whether what a publisher published reaches anybody: something ruinous was done to its
  /// process, or its node was killed and it does not rejoin the next.
  func doubt(of stream: StreamEvidence) -> UInt64 {
    let ruin = ruin(of: stream.author.worker) ?? .max
    let causes = harm.filter { harm in
      switch harm.fault {
      // What it has leased it still fills, for those who read it then; its next lease tells it.
      case .restart: !expectsRejoin && stream.opened < harm.time
      default: false
      }
    }
    if isLostWithTheNode(stream) { return 0 }
    return causes.map(\.time).reduce(ruin, min)
  }

  /// Whether a publisher did not live to bring back to the next node what the one before it had not handed on: what only
  /// those two had is gone.
  func isLostWithTheNode(_ stream: StreamEvidence) -> Bool {
    let end = harm.filter { $0.target == .worker(stream.author.worker) && ($0.fault == .kill || $0.fault.isRuinous) }
    // A stream that has failed, which only what was done to its process excuses, is over, too.
    guard let end = (end.map(\.time) + [stream.failure?.time].compactMap(\.self)).min() else { return false }
    return harm.contains { $0.isRestart && end < $0.time + Self.timeToRejoin }
  }

  /// Nanoseconds that it may take until a node that was killed is there again, and its clients have rejoined it.
  static let timeToRejoin: UInt64 = 1_000_000_000
}

/// What a publisher wrote down in one of its lives.
struct StreamEvidence: Sendable {
  struct Message: Equatable, Sendable {
    var size: UInt64
    /// Just before it was published.
    var begin: UInt64
    /// Just after; nil if the publisher did not live to say so, or was told that nobody knows.
    var end: UInt64?

    func isCertain(before doubt: UInt64) -> Bool { end.map { $0 < doubt } ?? false }
  }

  var author: Author
  var topic: String
  var mayEvict: Bool
  var retains: Bool
  /// Its policy waits for nothing, or not for long.
  var givesUp = false
  /// Nil: it was killed before it had one.
  var stream: UInt64?
  var opened: UInt64 = 0
  /// From sequence 1 on.
  var messages: [Message] = []
  /// Of what was begun, not all was published: the sequences that were written down are not those of the messages.
  var problems: [String] = []
  var refusals: [Failure] = []
  var failure: (reason: Failure, time: UInt64)?
  var isStopped = false

  mutating func add(_ record: Record) {
    switch record.kind {
    case .opened:
      stream = record.subject
      opened = record.time
    case .publishing:
      if record.outcome == .failed { return }
      guard record.value == UInt64(messages.count) + 1 else {
        problems.append("published \(record.value) after \(messages.count)")
        return
      }
      let end = record.outcome == .done ? record.end : nil
      for _ in 0..<record.count { messages.append(Message(size: record.size, begin: record.time, end: end)) }
    case .refused: refusals.append(Failure(rawValue: record.value) ?? .other)
    case .failed: failure = (Failure(rawValue: record.value) ?? .other, record.time)
    case .stopped: isStopped = true
    case .subscribing, .subscribed, .received, .damaged, .lagged, .closed, .corrupt: break
    }
  }

  /// How many messages are certainly published.
  var certain: Int { messages.count { $0.end != nil } }
}

/// What a subscription wrote down.
struct SubscriptionEvidence: Sendable {
  enum Event: Equatable, Sendable {
    case received(stream: UInt64, sequence: UInt64, size: UInt64, author: UInt64)
    case damaged(stream: UInt64, sequence: UInt64, offset: UInt64)
    case lagged(stream: UInt64, sequences: ClosedRange<UInt64>)
    case corrupt
  }

  var worker: Int
  var subscriber: Int
  var life: Int
  var pattern: String
  var mayLag: Bool
  var receivesRetained: Bool
  var asked: UInt64 = 0
  /// When it was there; nil if its process did not live to see that.
  var subscribed: UInt64?
  var events: [Event] = []
  /// Where it stands in each stream, if all is in order: what is asked again and again while it is waited for.
  private(set) var stands: [UInt64: Stand] = [:]
  var failure: (reason: Failure, time: UInt64)?
  var isClosed = false

  struct Stand: Equatable, Sendable {
    /// As far as a payload has named it; else 0.
    var author: UInt64
    var first: UInt64
    /// All below it are received or reported lost.
    var next: UInt64
  }

  mutating func add(_ record: Record) {
    switch record.kind {
    case .subscribing: asked = record.time
    case .subscribed: subscribed = record.time
    case .received:
      events.append(
        .received(stream: record.subject, sequence: record.value, size: record.size, author: record.author))
      stand(in: record.subject, record.value...record.value, record.author)
    case .damaged: events.append(.damaged(stream: record.subject, sequence: record.value, offset: record.count))
    case .lagged:
      let last = record.value + max(record.count, 1) - 1
      events.append(.lagged(stream: record.subject, sequences: record.value...last))
      stand(in: record.subject, record.value...last, 0)
    case .corrupt: events.append(.corrupt)
    case .failed: failure = (Failure(rawValue: record.value) ?? .other, record.time)
    case .closed: isClosed = true
    case .opened, .publishing, .refused, .stopped: break
    }
  }

  private mutating func stand(in stream: UInt64, _ sequences: ClosedRange<UInt64>, _ author: UInt64) {
    var stand = stands[stream] ?? Stand(author: author, first: sequences.lowerBound, next: 0)
    if author != 0 { stand.author = author }
    stand.next = sequences.upperBound + 1
    stands[stream] = stand
  }

  var name: String {
    "subscriber \(subscriber) of process \(worker)" + (life == 0 ? "" : " in life \(life)") + ", of \(pattern),"
  }
}

extension StreamEvidence {
  var name: String {
    "publisher \(author.publisher) of process \(author.worker)" + (author.life == 0 ? "" : " in life \(author.life)")
      + ", of \(topic),"
  }
}
