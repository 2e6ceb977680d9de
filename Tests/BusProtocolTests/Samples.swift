import BusProtocol
import Vocabulary

/// Random numbers that a seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Makes messages, with a liking for values at the edges of what is allowed.
struct Samples {
  var generator: SeededGenerator
  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  mutating func int(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &generator) }
  mutating func bool() -> Bool { .random(using: &generator) }
  mutating func maybe<T>(_ value: T) -> T? { bool() ? value : nil }

  mutating func uint64(from lowest: UInt64 = 0, to highest: UInt64 = .max) -> UInt64 {
    switch int(0...3) {
    case 0: lowest
    case 1: highest
    default: .random(in: lowest...highest, using: &generator) >> UInt64.random(in: 0...63, using: &generator) | lowest
    }
  }

  mutating func uint32() -> UInt32 { UInt32(uint64(to: UInt64(UInt32.max))) }
  mutating func id<ID: RawRepresentable<UInt64>>() -> ID { ID(rawValue: uint64(from: 1))! }
  mutating func segment() -> SegmentIdentity {
    SegmentIdentity(id: id(), epoch: UInt32(uint64(from: 1, to: UInt64(UInt32.max))))
  }
  mutating func capacity() -> UInt64 { uint64(from: 1, to: UInt64(Int.max)) }

  mutating func text(_ limit: Int = 255) -> String {
    switch int(0...3) {
    case 0: return ""
    case 1: return String(repeating: "x", count: limit)
    case 2: return String(repeating: "ü", count: limit / 2)
    default: return String("a b/ünï·日本🙂\t\"\\".shuffled(using: &generator).prefix(int(1...13)))
    }
  }

  mutating func name() -> String { text().replacing("\t", with: "") }

  mutating func topic() -> TopicName {
    let texts = ["a", "camera/front", "日本/東京/🙂", String(repeating: "x", count: 255)]
    return try! TopicName(texts.randomElement(using: &generator)!)
  }

  mutating func pattern() -> TopicPattern {
    let texts = ["**", "*", "camera/*/**", "a", String(repeating: "x", count: 253) + "/*"]
    return try! TopicPattern(texts.randomElement(using: &generator)!)
  }

  mutating func duration() -> Duration { .nanoseconds(Int64(uint64(from: 1, to: UInt64(Int64.max)))) }

  mutating func retention() -> Retention {
    Retention(messages: maybe(uint64(from: 1)), bytes: maybe(uint64(from: 1)), age: maybe(duration()))
  }

  mutating func clientMessages() -> [ClientMessage] {
    let policies: [FullPolicy] = [.wait(timeout: nil), .wait(timeout: duration()), .fail, .evictOldest]
    let opens = policies.map {
      ClientMessage.openPublisher(
        OpenPublisher(request: uint64(from: 1), topic: topic(), whenFull: $0, retention: maybe(retention())))
    }
    let backlog = BacklogLimit(messages: maybe(uint64(from: 1)), bytes: maybe(uint64(from: 1)))
    return opens + [
      .hello(Hello(protocolVersion: uint32(), name: name())),
      .closePublisher(id()),
      .subscribe(
        Subscribe(
          request: uint64(from: 1), pattern: pattern(), observes: bool(), wantsRetained: bool(), backlog: backlog)),
      .unsubscribe(id()),
      .requestLease(RequestLease(request: uint64(from: 1), stream: id(), capacity: capacity(), isAhead: bool())),
      .requestLease(
        RequestLease(request: uint64(from: 1), stream: id(), capacity: 1 << 62, isAhead: bool(), minimum: 4096)),
      .segmentReady(segment()),
      .sealSegment(segment()),
      .segmentPassed(segment(), by: id()),
      .releaseSegment(segment(), by: id()),
      .segmentUnmapped(id(), by: id()),
      .segmentUnmapped(id(), by: nil),
      .inspect(request: uint64(from: 1)),
      .cancelLease(request: uint64(from: 1)),
      .rejoinSubscription(
        RejoinSubscription(
          subscription: id(), pattern: pattern(), observes: bool(), wantsRetained: bool(), backlog: backlog,
          joined: uint64())),
      .rejoinCursor(RejoinCursor(subscription: id(), stream: id(), topic: topic(), nextSequence: uint64())),
      .rejoinDone,
    ] + rejoinMessages(policies)
  }

  private mutating func rejoinMessages(_ policies: [FullPolicy]) -> [ClientMessage] {
    let publishers = policies.map {
      ClientMessage.rejoinPublisher(
        RejoinPublisher(
          stream: id(), topic: topic(), whenFull: $0, retention: maybe(retention()), lastSequence: uint64(),
          listeners: (0..<int(0...5)).map { _ in id() }, opened: uint64()))
    }
    let uses =
      [.writing(isSealed: bool())] + ReadingProgress.allCases.map { OfferSegment.Use.reading(id(), $0) }
    return publishers
      + uses.map {
        .offerSegment(OfferSegment(segment: segment(), capacity: capacity(), stream: id(), use: $0))
      }
  }

  mutating func life() -> NodeLife {
    NodeLife(rawValue: UInt32(uint64(from: UInt64(NodeLife.range.lowerBound), to: UInt64(NodeLife.range.upperBound))))!
  }

  mutating func nodeMessages() -> [NodeMessage] {
    let refusals = RefusalCode.allCases.map {
      NodeMessage.refusal(Refusal(request: uint64(), code: $0, message: text(4096)))
    }
    return refusals + [
      .welcome(
        Welcome(
          client: id(), contribution: uint64(), handleEndpoint: text(), life: life(), isEmbedded: bool(), bell: text())),
      .publisherOpened(PublisherOpened(request: uint64(from: 1), stream: id(), quota: uint64())),
      .subscribed(Subscribed(request: uint64(from: 1), subscription: id())),
      .streamIntroduced(
        StreamIntroduced(
          subscription: id(), stream: id(), topic: topic(), handleEndpoint: text(), firstSequence: uint64())),
      .streamEnded(StreamEnded(subscription: id(), stream: id(), mayReturn: bool())),
      .leaseGranted(
        LeaseGranted(
          request: uint64(from: 1), stream: id(), segment: segment(), capacity: capacity(), warm: bool(),
          isShort: bool())),
      .segmentHanded(
        SegmentHanded(
          subscription: id(), stream: id(), segment: segment(), capacity: capacity(), warm: bool(), place: uint32())),
      .segmentSealed(SegmentSealed(subscription: id(), stream: id(), segment: segment(), slots: uint32())),
      .subscriberJoined(
        SubscriberJoined(stream: id(), subscription: id(), joins: uint64(), observes: bool(), bell: text())),
      .segmentPromised(SegmentPromised(stream: id(), segment: id(), subscription: id(), place: uint32())),
      .retention(id(), isRetained: bool()),
      .quota(id(), bytes: uint64()),
      .subscriberLeft(id(), stream: id(), Departure.allCases.randomElement(using: &generator)!),
      .giveBack(id()),
      .forgetSegment(id(), by: id()),
      .forgetSegment(id(), by: nil),
      .lagged(lagged(rangeCount: int(0...3))),
      .lagged(lagged(rangeCount: Lagged.maximumRangeCount)),
    ] + snapshot(rowCount: int(0...8)).split(request: uint64(from: 1)).map { .snapshot($0) }
  }

  mutating func lagged(rangeCount: Int) -> Lagged {
    var ranges: [ClosedRange<UInt64>] = []
    for _ in 0..<rangeCount {
      let first = uint64()
      ranges.append(first...uint64(from: first))
    }
    return Lagged(subscription: id(), stream: id(), ranges: ranges, bytes: uint64())
  }

  mutating func handle() -> Handle {
    Handle(
      stream: id(), segment: segment(), slot: uint32(), sequence: uint64(from: 1), byteCount: uint64(),
      publishTime: uint64())
  }

  mutating func attributes() -> MessageAttributes {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    var user: [String: String] = [:]
    for index in 0..<int(0...20) { user["\(index)\(text(30))"] = text(100) }
    return MessageAttributes(
      contentType: maybe("image/jpeg"), traceParent: maybe(parent), traceState: maybe("a=1,b=2"), user: user)
  }
}
