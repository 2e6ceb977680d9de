import BusProtocol
import Vocabulary

@testable import PoolNode

/// A node's core that dies and starts anew, and clients that publish, read and rejoin as real ones do, in one thread and
/// in any order. Messages to a client wait until it takes them.
struct RestartWorld {
  static let segmentByteCount: UInt64 = 8192

  private(set) var core: NodeCore
  var contents = FakeContents()
  var now: UInt64 = 1
  /// What must never happen, and did.
  private(set) var complaints: [String] = []
  private(set) var clients: [Int: Client] = [:]
  /// Messages that were reported lost, of publishers that live.
  private(set) var lagged: UInt64 = 0
  /// The ends that headers tell.
  private var sealed: [SegmentIdentity: UInt32] = [:]
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
    /// The streams that it has read to their ends.
    var over: Set<StreamID> = []
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
      case .create(let segment, _): creating.append(segment)
      case .examine(let offer, let client, _):
        perform(core.offerExamined(offer, from: client, .sound, contents: contents, now: now))
      case .destroy(let segment): creating.removeAll { $0 == segment }
      case .disconnect(let client, let reason): complaints.append("\(client) was sent away: \(reason)")
      case .sealAgainstFurtherWriters, .keepWakePage, .dropWakePage, .forgetClient: break
      }
    }
    complaints += core.ledger.violations()
  }

  private mutating func tell(_ name: Int, _ message: ClientMessage) {
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
      var cursors = reader.cursors.mapValues { ($0.topic, $0.expected) }
      for place in reader.borrowed.values where cursors[place.stream] == nil {
        cursors[place.stream] = (place.topic, .max)
      }
      for (stream, (topic, next)) in cursors.sorted(by: { $0.key < $1.key }) {
        let cursor = RejoinCursor(subscription: id, stream: stream, topic: topic, nextSequence: next)
        tell(name, .rejoinCursor(cursor))
      }
    }
    for (stream, publisher) in client.publishers {
      for (segment, held) in publisher.held {
        offer(name, segment, held.epoch, stream, .writing(isSealed: held.isSealed))
      }
    }
    for (id, reader) in client.readers {
      var rest = reader.mappings
      for (stream, cursor) in reader.cursors {
        for segment in cursor.open {
          rest.remove(segment.id)
          offer(name, segment.id, segment.epoch, stream, .reading(id, .unread))
        }
      }
      for (segment, place) in reader.borrowed where rest.remove(segment.id) != nil {
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

  // MARK: - Publishing

  /// Publishes a message if there is room, and sees to it that there will be.
  mutating func publish(_ name: Int, _ stream: StreamID) {
    guard let publisher = clients[name]?.publishers[stream] else { return }
    let unsealed = publisher.held.filter { !$0.value.isSealed }.sorted { $0.key < $1.key }
    let isAsking = clients[name]?.asked.values.contains { if case .lease(stream) = $0 { true } else { false } } == true
    if unsealed.count < 2, !isAsking { ask(name, .lease(stream)) }
    guard let (segment, held) = unsealed.first else { return }
    let identity = SegmentIdentity(id: segment, epoch: held.epoch)
    now += 1
    contents.log[identity, default: []].append(publisher.next)
    contents.times[identity, default: []].append(now)
    clients[name]?.publishers[stream]?.next += 1
    if contents.log[identity]?.count == 5 { seal(name, stream, segment) }
  }

  private mutating func seal(_ name: Int, _ stream: StreamID, _ segment: SegmentID) {
    guard let held = clients[name]?.publishers[stream]?.held[segment], !held.isSealed else { return }
    let identity = SegmentIdentity(id: segment, epoch: held.epoch)
    clients[name]?.publishers[stream]?.held[segment]?.isSealed = true
    sealed[identity] = contents.committed(in: identity)
    tell(name, .sealSegment(identity))
  }

  // MARK: - Reading

  /// Takes the next message of a stream if it is there.
  ///
  /// - Returns: whether it moved on.
  @discardableResult
  mutating func read(_ name: Int, _ id: SubscriptionID, _ stream: StreamID, borrows: Bool = false) -> Bool {
    guard var cursor = clients[name]?.readers[id]?.cursors[stream] else { return false }
    let start = cursor.expected
    if cursor.lost.contains(start), let range = cursor.lost.ranges.first(where: { $0.contains(start) }) {
      let isAlive = clients.values.contains { $0.publishers[stream] != nil }
      if isAlive { lagged += range.upperBound - start }
      cursor.expected = range.upperBound
    } else if cursor.open.contains(where: { contents.log[$0]?.contains(start) == true }) {
      cursor.expected += 1
    }
    let read = cursor.open.filter { segment in
      guard let end = cursor.ends[segment] ?? sealed[segment] else { return false }
      return contents.log[segment, default: []].prefix(Int(end)).allSatisfy { $0 < cursor.expected }
    }
    cursor.open.removeAll { read.contains($0) }
    if cursor.hasEnded, cursor.open.isEmpty {
      clients[name]?.readers[id]?.cursors[stream] = nil
      clients[name]?.readers[id]?.over.insert(stream)
    } else {
      clients[name]?.readers[id]?.cursors[stream] = cursor
    }
    for segment in read {
      if borrows {
        clients[name]?.readers[id]?.borrowed[segment] = (stream, cursor.topic)
        tell(name, .segmentPassed(segment, by: id))
      } else {
        tell(name, .releaseSegment(segment, by: id))
      }
    }
    return cursor.expected != start || !read.isEmpty
  }

  mutating func dropBorrowed(_ name: Int, _ id: SubscriptionID) {
    guard let reader = clients[name]?.readers[id] else { return }
    for (segment, _) in reader.borrowed.sorted(by: { $0.key.id < $1.key.id }) {
      clients[name]?.readers[id]?.borrowed[segment] = nil
      tell(name, .releaseSegment(segment, by: id))
      if !reader.mappings.contains(segment.id) { tell(name, .segmentUnmapped(segment.id, by: id)) }
    }
  }

  // MARK: - What the node says

  /// Takes one message from the node.
  mutating func hear(_ name: Int) {
    guard clients[name]?.inbox.isEmpty == false, let message = clients[name]?.inbox.removeFirst() else { return }
    switch message {
    case .publisherOpened(let opened):
      guard case .publisher(let topic)? = clients[name]?.asked.removeValue(forKey: opened.request) else { break }
      clients[name]?.publishers[opened.stream] = Publisher(topic: topic, opened: now)
    case .subscribed(let subscribed):
      guard case .subscription(let pattern)? = clients[name]?.asked.removeValue(forKey: subscribed.request) else {
        break
      }
      let ends = clients.values.flatMap(\.publishers).map { ($0.key, $0.value.next) }
      clients[name]?.readers[subscribed.subscription] = Reader(
        pattern: pattern, joined: now, ends: Dictionary(uniqueKeysWithValues: ends))
    case .leaseGranted(let granted): begin(name, granted)
    case .refusal(let refusal):
      clients[name]?.asked[refusal.request] = nil
      if refusal.code != .cancelled { complaints.append("client \(name) was refused: \(refusal.message)") }
    case .giveBack(let stream):
      for segment in (clients[name]?.publishers[stream]?.held ?? [:]).keys.sorted() { seal(name, stream, segment) }
    case .forgetSegment(let segment, .none):
      for (stream, publisher) in clients[name]?.publishers ?? [:] where publisher.held[segment]?.isSealed == true {
        clients[name]?.publishers[stream]?.held[segment] = nil
        tell(name, .segmentUnmapped(segment, by: nil))
      }
    case .subscriberJoined(let joined):
      clients[name]?.publishers[joined.stream]?.listeners.insert(joined.subscription)
    case .subscriberLeft(let id, let stream): clients[name]?.publishers[stream]?.listeners.remove(id)

    case .streamIntroduced(let introduced):
      guard let reader = clients[name]?.readers[introduced.subscription], reader.cursors[introduced.stream] == nil
      else {
        break
      }
      let isLater = introduced.stream.rawValue > introduced.subscription.rawValue
      let isNew = !reader.over.contains(introduced.stream)
      if isNew, introduced.firstSequence > reader.ends[introduced.stream] ?? (isLater ? 1 : .max) {
        complaints.append("\(introduced) to who was there before")
      }
      clients[name]?.readers[introduced.subscription]?.cursors[introduced.stream] = Cursor(
        topic: introduced.topic, expected: introduced.firstSequence)
    case .segmentHanded(let handed):
      guard let reader = clients[name]?.readers[handed.subscription], reader.cursors[handed.stream] != nil else {
        // An earlier node had ended the stream, and did not know that others had more of it.
        if clients[name]?.readers[handed.subscription]?.over.contains(handed.stream) != true {
          complaints.append("\(handed.segment) was handed of a stream that was not introduced")
        }
        tell(name, .segmentUnmapped(handed.segment.id, by: handed.subscription))
        break
      }
      clients[name]?.readers[handed.subscription]?.cursors[handed.stream]?.open.append(handed.segment)
      clients[name]?.readers[handed.subscription]?.mappings.insert(handed.segment.id)
    case .segmentSealed(let told):
      clients[name]?.readers[told.subscription]?.cursors[told.stream]?.ends[told.segment] = told.slots
    case .streamEnded(let ended):
      clients[name]?.readers[ended.subscription]?.cursors[ended.stream]?.hasEnded = true
    case .forgetSegment(let segment, .some(let id)): forget(name, segment, by: id)
    case .lagged(let lagged):
      for range in lagged.ranges {
        clients[name]?.readers[lagged.subscription]?.cursors[lagged.stream]?.lost.insert(
          contentsOf: range.lowerBound..<(range.upperBound + 1))
      }
    case .welcome, .snapshot, .retention, .segmentPromised: break
    }
  }

  private mutating func begin(_ name: Int, _ granted: LeaseGranted) {
    clients[name]?.asked[granted.request] = nil
    for (other, client) in clients {
      for (id, reader) in client.readers {
        let reads =
          reader.cursors.values.contains { $0.open.contains { $0.id == granted.segment.id } }
          || reader.borrowed.keys.contains { $0.id == granted.segment.id }
        if reads { complaints.append("\(granted.segment) is written anew while \(id) of client \(other) reads it") }
      }
    }
    clients[name]?.publishers[granted.stream]?.held[granted.segment.id] = Held(epoch: granted.segment.epoch)
    contents.log[granted.segment] = []
    contents.times[granted.segment] = []
    tell(name, .segmentReady(granted.segment))
  }

  private mutating func forget(_ name: Int, _ segment: SegmentID, by id: SubscriptionID) {
    guard let reader = clients[name]?.readers[id] else { return }
    for (stream, cursor) in reader.cursors {
      for identity in cursor.open where identity.id == segment {
        clients[name]?.readers[id]?.cursors[stream]?.open.removeAll { $0 == identity }
        tell(name, .releaseSegment(identity, by: id))
      }
    }
    guard clients[name]?.readers[id]?.mappings.remove(segment) != nil else { return }
    if !reader.borrowed.keys.contains(where: { $0.id == segment }) { tell(name, .segmentUnmapped(segment, by: id)) }
  }
}
