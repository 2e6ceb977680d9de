import BusProtocol
import Vocabulary

/// Whatever several clients say, also of what they had of the node before, and whenever they leave or die, the node's books
/// add up after each step, nobody is harmed but who broke the rules, and nothing is held by the dead.
///
/// Input: steps, each a byte that says which, one that says whose, and what the step takes.
func fuzzNode(_ bytes: RawSpan) {
  var input = InputReader(bytes)
  var node = FuzzedNode()
  while !input.isAtEnd { node.step(&input) }
  node.end()
}

extension FuzzedNode {
  mutating func step(_ input: inout InputReader) {
    let kind = input.byte() % 32
    guard let client = client(input.byte()) else { return connect() }
    switch kind {
    case 0: connect()
    case 1:
      let version = Hello.currentProtocolVersion - 1 + UInt32(input.byte() & 1)
      tell(client, .hello(Hello(protocolVersion: version, name: "fuzz")))
    case 2, 3:
      let topic = Self.topics[Int(input.byte()) % Self.topics.count]
      tell(
        client,
        .openPublisher(
          OpenPublisher(request: 1, topic: topic, whenFull: policy(&input), retention: retention(&input))))
    case 4: tell(client, .closePublisher(stream(&input)))
    case 5, 6:
      let (pattern, flags) = (Self.patterns[Int(input.byte()) % Self.patterns.count], input.byte())
      let backlog = BacklogLimit(
        messages: flags & 4 == 0 ? nil : max(input.number(), 1), bytes: flags & 8 == 0 ? nil : max(input.number(), 1))
      tell(
        client,
        .subscribe(
          Subscribe(
            request: 1, pattern: pattern, observes: flags & 3 == 1, wantsRetained: flags & 16 != 0, backlog: backlog)))
    case 7: tell(client, .unsubscribe(subscription(&input)))
    case 8, 9, 10:
      let flags = input.byte()
      let capacity = flags & 0x80 == 0 ? Self.capacities[Int(flags & 7)] : max(input.number(), 1)
      tell(
        client,
        .requestLease(
          RequestLease(
            request: UInt64(input.byte()) + 1, stream: stream(&input), capacity: capacity, isAhead: flags & 8 != 0)))
    case 11: tell(client, .cancelLease(request: UInt64(input.byte()) + 1))
    case 12, 13: tell(client, .segmentReady(segment(&input)))
    case 14, 15: tell(client, .sealSegment(segment(&input)))
    case 16: tell(client, .segmentPassed(segment(&input), by: subscription(&input)))
    case 17: tell(client, .releaseSegment(segment(&input), by: subscription(&input)))
    case 18:
      let segment = segment(&input)
      tell(client, .segmentUnmapped(segment.id, by: input.byte() & 1 == 0 ? nil : subscription(&input)))
    case 19: tell(client, .inspect(request: 1))
    case 20: commit(input.number(), in: segment(&input), count: Int(input.byte() & 7))
    case 21: finishCreation(succeeds: input.byte() & 7 != 0)
    case 22: advance(by: UInt64(input.byte()) << UInt64(input.byte() & 31))
    case 23: leave(client)
    case 24: die(client)
    case 25: rejoinPublisher(client, &input)
    case 26: rejoinSubscription(client, &input)
    case 27: rejoinCursor(client, &input)
    case 28, 29: offerSegment(client, &input)
    case 30: tell(client, .rejoinDone)
    default: receive(input.bytes(128), from: client)
    }
  }

  // MARK: - With what clients had of the node before

  private mutating func rejoinPublisher(_ client: ClientID, _ input: inout InputReader) {
    let (stream, flags) = (returningStream(&input), input.byte())
    let listeners = (0..<8).filter { flags & 1 << $0 != 0 }.map { Self.returningSubscription(UInt8($0)) }
    tell(
      client,
      .rejoinPublisher(
        RejoinPublisher(
          stream: stream, topic: Self.topics[Int(input.byte()) % Self.topics.count], whenFull: policy(&input),
          retention: retention(&input), lastSequence: input.number(), listeners: listeners, opened: input.number())))
  }

  private mutating func rejoinSubscription(_ client: ClientID, _ input: inout InputReader) {
    let (subscription, flags) = (returningSubscription(&input), input.byte())
    tell(
      client,
      .rejoinSubscription(
        RejoinSubscription(
          subscription: subscription, pattern: Self.patterns[Int(input.byte()) % Self.patterns.count],
          observes: flags & 3 == 1, wantsRetained: flags & 4 != 0,
          backlog: BacklogLimit(messages: flags & 8 == 0 ? nil : max(input.number(), 1), bytes: nil),
          joined: input.number())))
  }

  private mutating func rejoinCursor(_ client: ClientID, _ input: inout InputReader) {
    tell(
      client,
      .rejoinCursor(
        RejoinCursor(
          subscription: returningSubscription(&input), stream: returningStream(&input),
          topic: Self.topics[Int(input.byte()) % Self.topics.count], nextSequence: input.number())))
  }

  private mutating func offerSegment(_ client: ClientID, _ input: inout InputReader) {
    let flags = input.byte()
    let epoch = [1, 2, 3, UInt32.max][Int(flags & 3)]
    let (segment, stream) = (returningSegment(&input, epoch: epoch), returningStream(&input))
    let progress = ReadingProgress.allCases[Int(flags >> 2 & 3) % ReadingProgress.allCases.count]
    let use: OfferSegment.Use =
      flags & 16 == 0 ? .writing(isSealed: flags & 4 != 0) : .reading(returningSubscription(&input), progress)
    // As a rule it is the memory that others offer, too.
    offer(
      OfferSegment(
        segment: segment, capacity: Self.capacities[Int(flags >> 5)], stream: stream, use: use),
      from: client, input.byte() & 7 == 0 ? .other : .same)
  }

  private func policy(_ input: inout InputReader) -> FullPolicy {
    switch input.byte() & 3 {
    case 0: .wait(timeout: nil)
    case 1: .wait(timeout: .nanoseconds(Int64(input.byte()) + 1))
    case 2: .fail
    default: .evictOldest
    }
  }

  private func retention(_ input: inout InputReader) -> Retention? {
    let flags = input.byte()
    guard flags & 7 != 0 else { return nil }
    return Retention(
      messages: flags & 1 == 0 ? nil : max(input.number(), 1), bytes: flags & 2 == 0 ? nil : max(input.number(), 1),
      age: flags & 4 == 0 ? nil : .nanoseconds(Int64(input.byte()) + 1))
  }

  static let topics = ["a", "a/b", "q/x", "q/y"].compactMap { try? TopicName($0) }
  static let patterns = ["**", "a", "a/*", "q/**", "*"].compactMap { try? TopicPattern($0) }
  static let capacities: [UInt64] = [8, 8, 16, 64, 64, 128, 256, 512].map { $0 << 10 }
}
