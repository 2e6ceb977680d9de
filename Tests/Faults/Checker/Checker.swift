import Vocabulary

/// What must not be, in words: who, which stream, which message.
struct Violation: Equatable, Sendable, CustomStringConvertible {
  enum Rule: Equatable, Sendable {
    case order, once, gap, intact, invented, missing, lagWithoutPolicy, start, failure, publishing
    /// Of the node's books, its descriptors, and how processes ended.
    case leftover, stuck, books, end
  }

  var rule: Rule
  var description: String

  init(_ rule: Rule, _ description: String) {
    self.rule = rule
    self.description = description
  }
}

/// Judges what everybody wrote down. A pure function, so that tests can show it whatever it must not let pass.
///
/// The only thing it does not know is the very last deed of who was killed: a message whose publishing was begun and not
/// said to be done may be delivered or not, and nothing between the two.
struct Checker {
  private let evidence: Evidence
  private let authors: [UInt64: StreamEvidence]
  /// No node gives a stream the number of one of its lives before.
  private let authorOfStream: [UInt64: UInt64]
  private let evicting: Set<String>
  private let retaining: Set<String>
  private var violations: [Violation] = []

  /// Where a subscription stands with one author.
  private struct Progress {
    var first: UInt64
    /// All below it are received or reported lost.
    var next: UInt64
  }

  static func violations(in evidence: Evidence) -> [Violation] {
    var checker = Checker(evidence)
    for stream in evidence.streams { checker.check(stream) }
    for subscription in evidence.subscriptions { checker.check(subscription) }
    return checker.violations
  }

  /// What the subscriptions of the living still wait for; empty when each has all.
  static func missing(in evidence: Evidence, living: Set<Int>) -> [Violation] {
    var checker = Checker(evidence)
    for subscription in evidence.subscriptions where subscription.failure == nil && living.contains(subscription.worker)
    {
      var progress: [UInt64: Progress] = [:]
      for (stream, stand) in subscription.stands {
        let code = stand.author != 0 ? stand.author : checker.authorOfStream[stream] ?? unknown(stream)
        progress[code] = Progress(first: stand.first, next: stand.next)
      }
      checker.checkCompleteness(of: subscription, progress)
    }
    return checker.violations
  }

  private init(_ evidence: Evidence) {
    self.evidence = evidence
    authors = Dictionary(evidence.streams.map { ($0.author.code, $0) }, uniquingKeysWith: { first, _ in first })
    let known = evidence.streams.compactMap { stream in stream.stream.map { ($0, stream.author.code) } }
    authorOfStream = Dictionary(known, uniquingKeysWith: { first, _ in first })
    evicting = Set(evidence.streams.filter(\.mayEvict).map(\.topic))
    retaining = Set(evidence.streams.filter(\.retains).map(\.topic))
  }

  /// Stands for the author of a stream that nothing names: it is nobody's, and no other stream's.
  private static func unknown(_ stream: UInt64) -> UInt64 { 1 << 63 | stream }

  private mutating func add(_ rule: Violation.Rule, _ text: String) {
    // A stream that went wrong goes wrong at every message: the first few tell it.
    if violations.count < 100 { violations.append(Violation(rule, text)) }
  }

  // MARK: - Publishers

  private mutating func check(_ stream: StreamEvidence) {
    for problem in stream.problems { add(.publishing, "\(stream.name) \(problem)") }
    let worker = Target.worker(stream.author.worker)
    if evidence.ruin(of: stream.author.worker) != nil { return }
    if let failure = stream.failure, !isExcused(failure.reason, of: worker) {
      add(.failure, "\(stream.name) came to its end by \(failure.reason), and nothing was done that explains it")
    }
    for refusal in Set(stream.refusals) where !mayRefuse(refusal, to: stream) {
      add(.failure, "\(stream.name) was refused a loan by \(refusal), and nothing was done that explains it")
    }
  }

  /// A segment takes memory of the node, and a descriptor of both; and who does not wait for memory does not wait for a
  /// node either, nor when its own connection has just ended.
  private func mayRefuse(_ reason: Failure, to stream: StreamEvidence) -> Bool {
    switch reason {
    case .poolExhausted: true
    case .outOfMemory:
      hadNoDescriptors(.worker(stream.author.worker)) || hadNoDescriptors(.node)
        || evidence.wasHarmed(.node) { if case .exhaustMemory = $0 { true } else { false } }
    case .nodeLost: stream.givesUp && (wasRestarted || hadNoDescriptors(.worker(stream.author.worker)))
    default: false
    }
  }

  private var wasRestarted: Bool { evidence.harm.contains(where: \.isRestart) }

  private func hadNoDescriptors(_ target: Target) -> Bool {
    evidence.wasHarmed(target) { if case .exhaustDescriptors = $0 { true } else { false } }
  }

  /// Whether an end may come to a process by what was done to it, or to the node.
  private func isExcused(_ reason: Failure, of worker: Target) -> Bool {
    if hadNoDescriptors(worker) { return true }
    return reason == .nodeLost && wasRestarted && !evidence.expectsRejoin
  }

  // MARK: - Subscriptions

  private mutating func check(_ subscription: SubscriptionEvidence) {
    var progress: [UInt64: Progress] = [:]
    // A lag and a small message don't name the author, but others of the stream do.
    let met = subscription.stands.compactMapValues { $0.author == 0 ? nil : $0.author }
    for event in subscription.events {
      switch event {
      case .damaged(let stream, let sequence, let offset):
        add(
          .intact,
          "\(subscription.name) read message \(sequence) of stream \(stream), and byte \(offset) is not what was written"
        )
      case .received(let stream, let sequence, let size, let author):
        let code = author != 0 ? author : met[stream] ?? authorOfStream[stream] ?? Self.unknown(stream)
        if author != 0 {
          if let known = met[stream] ?? authorOfStream[stream], known != author {
            add(
              .invented,
              "\(subscription.name) received message \(sequence) of stream \(stream) by \(Author(code: author)), not \(Author(code: known))"
            )
          }
        }
        proceed(subscription, code, stream, sequence...sequence, &progress)
        checkMessage(subscription, code, stream, sequence, size)
      case .lagged(let stream, let sequences):
        let code = met[stream] ?? authorOfStream[stream] ?? Self.unknown(stream)
        proceed(subscription, code, stream, sequences, &progress)
        checkLag(subscription, code, stream, sequences)
      case .corrupt: checkCorruption(subscription)
      }
    }
    checkEnd(of: subscription)
    checkStart(of: subscription, progress)
    if subscription.isClosed, subscription.failure == nil { checkCompleteness(of: subscription, progress) }
  }

  private mutating func proceed(
    _ subscription: SubscriptionEvidence, _ code: UInt64, _ stream: UInt64, _ sequences: ClosedRange<UInt64>,
    _ progress: inout [UInt64: Progress]
  ) {
    guard let known = progress[code] else {
      progress[code] = Progress(first: sequences.lowerBound, next: sequences.upperBound + 1)
      return
    }
    let came = sequences.lowerBound
    if came == known.next {
      progress[code]?.next = sequences.upperBound + 1
    } else if came < known.next {
      let what = came < known.first ? "before its first, \(known.first)," : "a second time"
      add(
        .once, "\(subscription.name) was given message \(came) of stream \(stream) \(what) when \(known.next) was due")
    } else {
      // What a segment held that could not be read, nobody knows.
      let isExcused = subscription.events.contains(.corrupt) && (isRuined(code) || isRuined(subscription))
      if !isExcused {
        add(
          .gap,
          "\(subscription.name) was given message \(came) of stream \(stream) when \(known.next) was due: \(came - known.next) are missing without a lag"
        )
      }
      progress[code]?.next = sequences.upperBound + 1
    }
  }

  private mutating func checkMessage(
    _ subscription: SubscriptionEvidence, _ code: UInt64, _ stream: UInt64, _ sequence: UInt64, _ size: UInt64
  ) {
    guard let author = authors[code] else {
      add(.invented, "\(subscription.name) received message \(sequence) of stream \(stream), which nobody has opened")
      return
    }
    guard matches(subscription.pattern, author.topic) else {
      add(.invented, "\(subscription.name) received message \(sequence) of \(author.name) which it has not asked for")
      return
    }
    guard sequence >= 1, sequence <= UInt64(author.messages.count) else {
      add(.invented, "\(subscription.name) received message \(sequence) of \(author.name) who never published it")
      return
    }
    let message = author.messages[Int(sequence) - 1]
    if message.size != size {
      add(
        .intact,
        "\(subscription.name) received message \(sequence) of \(author.name) with \(size) bytes, not \(message.size)")
    }
  }

  /// Whose descriptors were closed behind its back may write one segment's messages into another: its readers are told.
  private mutating func checkCorruption(_ subscription: SubscriptionEvidence) {
    let isExcused = authors.contains { code, author in matches(subscription.pattern, author.topic) && isRuined(code) }
    if !isExcused, !isRuined(subscription) {
      add(.intact, "\(subscription.name) was given a corrupt segment, and nothing was done to any of its publishers")
    }
  }

  private func isRuined(_ subscription: SubscriptionEvidence) -> Bool {
    evidence.ruin(of: subscription.worker) != nil
  }

  private func isRuined(_ code: UInt64) -> Bool { evidence.ruin(of: Author(code: code & ~(1 << 63)).worker) != nil }

  private mutating func checkLag(
    _ subscription: SubscriptionEvidence, _ code: UInt64, _ stream: UInt64, _ sequences: ClosedRange<UInt64>
  ) {
    guard let author = authors[code] else { return }
    // Who can't map what it is handed is told so, and then what it has lost by that.
    if !subscription.mayLag, !evicting.contains(author.topic), !evidence.isLostWithTheNode(author),
      !isRuined(subscription)
    {
      add(
        .lagWithoutPolicy,
        "\(subscription.name) lost messages \(sequences.lowerBound) to \(sequences.upperBound) of \(author.name) though no policy may take them"
      )
    }
    if sequences.upperBound > UInt64(author.messages.count) {
      add(
        .invented,
        "\(subscription.name) is said to have lost message \(sequences.upperBound) of \(author.name) who never published it"
      )
    }
  }

  private mutating func checkEnd(of subscription: SubscriptionEvidence) {
    guard let failure = subscription.failure, evidence.ruin(of: subscription.worker) == nil else { return }
    if !isExcused(failure.reason, of: .worker(subscription.worker)) {
      add(.failure, "\(subscription.name) came to its end by \(failure.reason), and nothing was done that explains it")
    }
  }

  /// Nothing from before it asked, unless the topic keeps it.
  private mutating func checkStart(of subscription: SubscriptionEvidence, _ progress: [UInt64: Progress]) {
    for (code, stand) in progress {
      guard let author = authors[code], stand.first >= 1, stand.first <= UInt64(author.messages.count) else { continue }
      if subscription.receivesRetained, retaining.contains(author.topic) { continue }
      if let end = author.messages[Int(stand.first) - 1].end, end < subscription.asked {
        add(
          .start,
          "\(subscription.name) began with message \(stand.first) of \(author.name) which was published before it asked"
        )
      }
    }
  }

  /// Everything from when it was there on, to the last that is certain.
  private mutating func checkCompleteness(of subscription: SubscriptionEvidence, _ progress: [UInt64: Progress]) {
    guard let subscribed = subscription.subscribed, evidence.ruin(of: subscription.worker) == nil else { return }
    for (code, author) in authors.sorted(by: { $0.key < $1.key }) where matches(subscription.pattern, author.topic) {
      let last = author.messages.lastIndex { $0.isCertain(before: evidence.doubt(of: author)) }.map { UInt64($0) + 1 }
      guard let last else { continue }
      let due = author.messages.firstIndex { $0.begin > subscribed }.map { UInt64($0) + 1 } ?? .max
      if let stand = progress[code] {
        if stand.first > due {
          add(
            .start,
            "\(subscription.name) began with message \(stand.first) of \(author.name) and was there before \(due)")
        }
        if stand.next <= last {
          add(.missing, "\(subscription.name) has not been given message \(stand.next) to \(last) of \(author.name)")
        }
      } else if due <= last {
        add(
          .missing,
          "\(subscription.name) has not been given message \(due) to \(last), nor any other, of \(author.name)")
      }
    }
  }

  private func matches(_ pattern: String, _ topic: String) -> Bool {
    guard let pattern = try? TopicPattern(pattern), let topic = try? TopicName(topic) else { return false }
    return pattern.matches(topic)
  }
}
