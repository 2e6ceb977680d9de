import BusProtocol
import Vocabulary

@testable import PoolNode

/// A node's core with clients that say what a test wants.
struct NodeWorld {
  var core: NodeCore
  var contents = FakeContents()
  private var now: UInt64 = 1
  private var lastRequest: UInt64 = 100

  init(contribution: UInt64 = 1 << 20, _ configure: (inout NodeConfiguration) -> Void = { _ in }) {
    var configuration = NodeConfiguration(socketPath: "/tmp/test.sock", contribution: contribution)
    configure(&configuration)
    core = NodeCore(configuration: configuration, now: 0)
  }

  mutating func connect(_ peer: Peer = Peer(userID: 0)) -> ClientID {
    core.clientConnected(processID: 1, peer: peer, now: now)
  }

  mutating func join(_ name: String = "test", _ peer: Peer = Peer(userID: 0)) -> ClientID {
    let client = connect(peer)
    _ = tell(client, .hello(Hello(name: name)))
    return client
  }

  mutating func tell(_ client: ClientID, _ message: ClientMessage) -> [NodeAction] {
    now += 1
    return core.handle(message, from: client, contents: contents, now: now)
  }

  mutating func examined(
    _ offer: OfferSegment, of topic: TopicName = try! TopicName("a"), from client: ClientID, _ memory: OfferedMemory
  ) -> [NodeAction] {
    core.offerExamined(offer, of: topic, from: client, memory, contents: contents, now: now)
  }

  mutating func advance(by nanoseconds: UInt64) -> [NodeAction] {
    now += nanoseconds
    return core.advance(to: now, contents: contents)
  }

  mutating func leave(_ client: ClientID) -> [NodeAction] {
    core.clientLeft(client, contents: contents, now: now)
  }

  mutating func die(_ client: ClientID) -> [NodeAction] {
    core.clientDied(client, contents: contents, now: now)
  }

  mutating func openPublisher(
    _ client: ClientID, _ topic: String, whenFull: FullPolicy = .wait(timeout: nil)
  ) throws -> StreamID {
    let topic = try TopicName(topic)
    lastRequest += 1
    let open = OpenPublisher(request: lastRequest, topic: topic, whenFull: whenFull, retention: nil)
    for action in tell(client, .openPublisher(open)) {
      if case .publisherOpened(let opened)? = action.message(to: client) { return opened.stream }
    }
    throw Missing(what: "PublisherOpened")
  }

  mutating func subscribe(_ client: ClientID, _ pattern: String) throws -> SubscriptionID {
    guard let subscription = tell(client, .subscribe(.test(pattern))).subscribed else {
      throw Missing(what: "Subscribed")
    }
    return subscription
  }

  /// Leases a segment, and makes it.
  mutating func lease(_ client: ClientID, _ stream: StreamID, capacity: UInt64 = 64 << 10) throws -> SegmentIdentity {
    lastRequest += 1
    let wish = RequestLease(request: lastRequest, stream: stream, capacity: capacity, isAhead: false)
    for action in tell(client, .requestLease(wish)) {
      guard case .create(let segment, _, _) = action else { continue }
      for action in core.segmentCreated(segment, contents: contents, now: now) {
        if case .leaseGranted(let granted)? = action.message(to: client) { return granted.segment }
      }
    }
    throw Missing(what: "LeaseGranted")
  }

  /// The books, as the client may see them.
  mutating func inspect(_ client: ClientID) -> Snapshot? {
    var assembler = SnapshotAssembler()
    var snapshot: Snapshot?
    lastRequest += 1
    for action in tell(client, .inspect(request: lastRequest)) {
      if case .snapshot(let part)? = action.message(to: client) { snapshot = assembler.add(part) }
    }
    return snapshot
  }

  /// The node did not answer with what a test goes on with.
  struct Missing: Error {
    var what: String
  }
}

/// What publishers have committed, by the test's word.
struct FakeContents: SegmentContents {
  var log: [SegmentIdentity: [UInt64]] = [:]
  /// When each message of the log was published, where a test says so.
  var times: [SegmentIdentity: [UInt64]] = [:]
  /// In which life segments are by their headers, where it is not the one that is asked for: renewed, or of an earlier node.
  var renewed: [SegmentID: UInt32] = [:]
  /// The last sequence before a life began.
  var bases: [SegmentIdentity: UInt64] = [:]
  var acknowledged: [SubscriptionID: Set<SegmentIdentity>] = [:]
  /// How often all slots of a segment were looked at.
  let scans = Count()

  final class Count {
    var value = 0
  }

  func currentLife(of segment: SegmentIdentity) -> SegmentIdentity {
    SegmentIdentity(id: segment.id, epoch: max(segment.epoch, renewed[segment.id] ?? 0))
  }
  func noteClosed(_ segment: SegmentID) {}
  func noteJoins(_ count: UInt64, in segment: SegmentID) {}
  func hasAcknowledged(_ segment: SegmentIdentity, by subscription: SubscriptionID, at place: UInt32) -> Bool {
    acknowledged[subscription]?.contains(segment) ?? false
  }

  func committed(in segment: SegmentIdentity) -> UInt32 { UInt32(log[segment]?.count ?? 0) }
  func firstSequence(in segment: SegmentIdentity) -> UInt64? { log[segment]?.first }
  func lastSequence(in segment: SegmentIdentity) -> UInt64? { log[segment]?.last ?? bases[segment] }
  func firstSequence(in segment: SegmentIdentity, publishedSince time: UInt64) -> UInt64? {
    zip(log[segment] ?? [], times[segment] ?? []).first { $0.1 >= time }?.0
  }
  func lastPublished(in segment: SegmentIdentity) -> UInt64? { times[segment]?.last }
  func sequences(in segment: SegmentIdentity) -> [ClosedRange<UInt64>] {
    scans.value += 1
    return (log[segment] ?? []).map { $0...$0 }
  }
}

extension Subscribe {
  static func test(_ pattern: String) -> Subscribe {
    Subscribe(
      request: 50, pattern: try! TopicPattern(pattern), observes: false,
      wantsRetained: true, backlog: .none)
  }
}

extension RejoinSubscription {
  static func test(_ id: SubscriptionID, _ pattern: String = "**") -> RejoinSubscription {
    RejoinSubscription(
      subscription: id, pattern: try! TopicPattern(pattern), observes: false, wantsRetained: false, backlog: .none)
  }
}

extension RejoinPublisher {
  static func test(
    _ stream: StreamID, _ topic: TopicName, last: UInt64 = 0, listeners: [SubscriptionID] = []
  ) -> RejoinPublisher {
    RejoinPublisher(
      stream: stream, topic: topic, whenFull: .fail, retention: nil, lastSequence: last, listeners: listeners)
  }
}

extension NodeAction {
  func message(to client: ClientID) -> NodeMessage? {
    if case .send(let message, client, _) = self { message } else { nil }
  }

  func isDisconnect(of client: ClientID) -> Bool {
    if case .disconnect(client, _) = self { true } else { false }
  }
}

extension NodeMessage {
  var isHanding: Bool { if case .segmentHanded = self { true } else { false } }
}

extension [NodeAction] {
  func refusal(to client: ClientID) -> Refusal? {
    for action in self {
      if case .refusal(let refusal)? = action.message(to: client) { return refusal }
    }
    return nil
  }

  /// The streams that a client is told of.
  func introductions(to client: ClientID) -> [StreamIntroduced] {
    compactMap { action in
      if case .streamIntroduced(let introduced)? = action.message(to: client) { introduced } else { nil }
    }
  }

  var subscribed: SubscriptionID? {
    for case .send(.subscribed(let subscribed), _, _) in self { return subscribed.subscription }
    return nil
  }
}
