import BusProtocol
import Vocabulary

@testable import PoolNode

/// A node's core that dies and starts anew, and clients that publish, read and rejoin as real ones do, in one thread and
/// in any order. Messages to a client wait until it takes them.
struct RestartWorld {
  static let segmentByteCount: UInt64 = 8192

  var core: NodeCore
  var contents = FakeContents()
  var now: UInt64 = 1
  /// What must never happen, and did.
  var complaints: [String] = []
  var clients: [Int: Client] = [:]
  /// Messages that were reported lost, of publishers that live.
  var lagged: UInt64 = 0
  /// The ends that headers tell.
  var sealed: [SegmentIdentity: UInt32] = [:]
  private var creating: [SegmentID] = []
  private var configuration: NodeConfiguration
  private var lastName = 0
  private var lastLife: UInt32 = 1

  struct Client {
    /// Its number at the node; nil while it knows none.
    var id: ClientID?
    var inbox: [NodeMessage] = []
    var publishers: [StreamID: Publisher] = [:]
    var readers: [SubscriptionID: Reader] = [:]
    var lastRequest: UInt64 = 0
    /// What was asked for and not answered yet.
    var asked: [UInt64: Asked] = [:]
  }

  enum Asked {
    case publisher(TopicName)
    case subscription(TopicPattern)
    case lease(StreamID)
  }

  struct Publisher {
    var topic: TopicName
    var opened: UInt64
    var next: UInt64 = 1
    var held: [SegmentID: Held] = [:]
    var listeners: Set<SubscriptionID> = []
  }

  struct Held {
    var epoch: UInt32
    var isSealed = false
  }

  struct Reader {
    var pattern: TopicPattern
    var joined: UInt64
    /// Where the streams were that there were when it joined.
    var ends: [StreamID: UInt64] = [:]
    var cursors: [StreamID: Cursor] = [:]
    /// The streams that it has read to their ends, and how far they went.
    var over: [StreamID: Cursor] = [:]
    var mappings: Set<SegmentID> = []
    /// Read to their ends, and still borrowed from.
    var borrowed: [SegmentIdentity: (stream: StreamID, topic: TopicName)] = [:]
  }

  struct Cursor {
    var topic: TopicName
    var expected: UInt64
    var open: [SegmentIdentity] = []
    var ends: [SegmentIdentity: UInt32] = [:]
    var lost = RangeSet<UInt64>()
    var hasEnded = false
    var mayReturn = false
  }

  init(contribution: UInt64 = 1 << 20) {
    configuration = NodeConfiguration(socketPath: "/tmp/test.sock", contribution: contribution)
    core = NodeCore(configuration: configuration, life: NodeLife(rawValue: lastLife)!, now: 0)
  }

  // MARK: - The node

  /// The node dies, and another starts.
  ///
  /// - Parameters:
  ///   - isKnown: whether the other one knows that there was one before.
  ///   - reach: how many of the messages on their way to a client reach it still.
  mutating func restart(isKnown: Bool = true, reach: (Int) -> Int = { $0 }) {
    lastLife += 1
    configuration.followsAnother = isKnown
    core = NodeCore(configuration: configuration, life: NodeLife(rawValue: lastLife)!, now: now)
    creating = []
    for name in clients.keys.sorted() {
      guard let client = clients[name], client.id != nil else { continue }
      clients[name]?.inbox.removeLast(client.inbox.count - reach(client.inbox.count))
      // What it still hears of the old node it hears before it rejoins.
      while clients[name]?.inbox.isEmpty == false { hear(name) }
      clients[name]?.id = nil
    }
  }

  mutating func advance(by nanoseconds: UInt64) {
    now += nanoseconds
    perform(core.advance(to: now, contents: contents))
  }

  mutating func finishCreation() {
    guard !creating.isEmpty else { return }
    perform(core.segmentCreated(creating.removeFirst(), contents: contents, now: now))
  }

  private mutating func perform(_ actions: [NodeAction]) {
    for action in actions {
      switch action {
      case .send(let message, let id, _):
        if let name = clients.first(where: { $0.value.id == id })?.key { clients[name]?.inbox.append(message) }
      case .create(let segment, _, _): creating.append(segment)
      case .examine(let offer, let topic, let client, _):
        perform(core.offerExamined(offer, of: topic, from: client, .sound, contents: contents, now: now))
      case .destroy(let segment): creating.removeAll { $0 == segment }
      case .disconnect(let client, let reason): complaints.append("\(client) was sent away: \(reason)")
      case .sealAgainstFurtherWriters, .keepWakePage, .dropWakePage, .forgetClient: break
      }
    }
    complaints += core.ledger.violations()
  }

  mutating func tell(_ name: Int, _ message: ClientMessage) {
    guard let id = clients[name]?.id else { return }
    now += 1
    perform(core.handle(message, from: id, contents: contents, now: now))
  }

  // MARK: - Clients

  mutating func join() -> Int {
    lastName += 1
    clients[lastName] = Client()
    greet(lastName)
    return lastName
  }

  /// A client that subscribes at once.
  mutating func join(subscribingTo pattern: String) throws -> Int {
    let name = join()
    ask(name, .subscription(try TopicPattern(pattern)))
    return name
  }

  private mutating func greet(_ name: Int) {
    clients[name]?.id = core.clientConnected(processID: Int32(name), peer: Peer(userID: 0), now: now)
    tell(name, .hello(Hello(name: "\(name)")))
  }

  /// It finds the new node, and goes on with what it has.
  mutating func rejoin(_ name: Int) {
    guard let client = clients[name], client.id == nil else { return }
    greet(name)
    for (stream, publisher) in client.publishers.sorted(by: { $0.key < $1.key }) {
      tell(
        name,
        .rejoinPublisher(
          RejoinPublisher(
            stream: stream, topic: publisher.topic, whenFull: .wait(timeout: nil), retention: nil,
            lastSequence: publisher.next - 1, listeners: publisher.listeners.sorted(),
            opened: publisher.opened)))
    }
    for (id, reader) in client.readers.sorted(by: { $0.key < $1.key }) {
      tell(
        name,
        .rejoinSubscription(
          RejoinSubscription(
            subscription: id, pattern: reader.pattern, observes: false, wantsRetained: true, backlog: .none,
            joined: reader.joined)))
      var cursors = reader.cursors.merging(reader.over.filter { $0.value.mayReturn }) { open, _ in open }
        .mapValues { ($0.topic, $0.expected) }
      for place in reader.borrowed.values where cursors[place.stream] == nil {
        cursors[place.stream] = (place.topic, .max)
      }
      for (stream, (topic, next)) in cursors.sorted(by: { $0.key < $1.key }) {
        let cursor = RejoinCursor(subscription: id, stream: stream, topic: topic, nextSequence: next)
        tell(name, .rejoinCursor(cursor))
      }
    }
    for (stream, publisher) in client.publishers.sorted(by: { $0.key < $1.key }) {
      for (segment, held) in publisher.held.sorted(by: { $0.key < $1.key }) {
        offer(name, segment, held.epoch, stream, .writing(isSealed: held.isSealed))
      }
    }
    for (id, reader) in client.readers.sorted(by: { $0.key < $1.key }) {
      var rest = reader.mappings
      for (stream, cursor) in reader.cursors.sorted(by: { $0.key < $1.key }) {
        for segment in cursor.open {
          rest.remove(segment.id)
          offer(name, segment.id, segment.epoch, stream, .reading(id, .unread))
        }
      }
      for (segment, place) in reader.borrowed.sorted(by: { $0.key.id < $1.key.id }) {
        guard rest.remove(segment.id) != nil else { continue }
        offer(name, segment.id, segment.epoch, place.stream, .reading(id, .passed))
      }
      // What it has only mapped it lets go.
      clients[name]?.readers[id]?.mappings.subtract(rest)
    }
    tell(name, .rejoinDone)
    // What was not answered is asked again.
    for (request, asked) in client.asked.sorted(by: { $0.key < $1.key }) { ask(name, request, asked) }
  }

  private mutating func offer(
    _ name: Int, _ segment: SegmentID, _ epoch: UInt32, _ stream: StreamID, _ use: OfferSegment.Use
  ) {
    tell(
      name,
      .offerSegment(
        OfferSegment(
          segment: SegmentIdentity(id: segment, epoch: epoch), capacity: Self.segmentByteCount, stream: stream,
          use: use)))
  }

  mutating func ask(_ name: Int, _ asked: Asked) {
    clients[name]?.lastRequest += 1
    let request = clients[name]?.lastRequest ?? 1
    clients[name]?.asked[request] = asked
    ask(name, request, asked)
  }

  private mutating func ask(_ name: Int, _ request: UInt64, _ asked: Asked) {
    switch asked {
    case .publisher(let topic):
      tell(
        name,
        .openPublisher(OpenPublisher(request: request, topic: topic, whenFull: .wait(timeout: nil), retention: nil)))
    case .subscription(let pattern):
      tell(
        name,
        .subscribe(
          Subscribe(request: request, pattern: pattern, observes: false, wantsRetained: true, backlog: .none)))
    case .lease(let stream):
      tell(
        name,
        .requestLease(
          RequestLease(request: request, stream: stream, capacity: Self.segmentByteCount, isAhead: false)))
    }
  }

  mutating func kill(_ name: Int) {
    guard let client = clients.removeValue(forKey: name) else { return }
    if let id = client.id { perform(core.clientDied(id, contents: contents, now: now)) }
  }

  mutating func closeAll(_ name: Int) {
    for stream in clients[name]?.publishers.keys.sorted() ?? [] { tell(name, .closePublisher(stream)) }
    for id in clients[name]?.readers.keys.sorted() ?? [] { tell(name, .unsubscribe(id)) }
    kill(name)
  }
}
