import BusProtocol
import Vocabulary

@testable import Ledger
@testable import PoolNode

/// A node's decisions with clients that say anything, and what its loop would do of them: `NodeLoop` without sockets.
struct FuzzedNode {
  private var core: NodeCore
  private var contents = FuzzedContents()
  private var now: UInt64 = 1
  /// Clients whose process lives, in the order of their coming.
  private var clients: [ClientID] = []
  // What clients were told of: they may speak of it, whether or not it is theirs.
  private var streams: [StreamID] = []
  private var subscriptions: [SubscriptionID] = []
  private var segments: [SegmentIdentity] = []
  // The segments' memory.
  /// To be made or made, and not destroyed yet.
  private var alive: Set<SegmentID> = []
  private var inCreation: [SegmentID] = []
  private var stored: Set<SegmentID> = []
  private var sealed: Set<SegmentID> = []
  /// The memory that comes with the message at hand; nil for none.
  private var arrived: Memory?

  /// What is offered as a segment, compared with what others have offered.
  enum Memory { case same, other }

  private static let mostClients = 6
  /// The node's own life, and that of which clients return; numbers of no life are of another one, too.
  private static let (life, lifeBefore) = (NodeLife(rawValue: 2)!, NodeLife(rawValue: 1)!)

  init() {
    let quotas = (try? TopicPattern("q/**")).map { [TopicQuota(pattern: $0, bytes: 128 << 10)] } ?? []
    core = NodeCore(
      configuration: NodeConfiguration(socketPath: "/tmp/fuzz.sock", contribution: 1 << 20, quotas: quotas),
      life: Self.life, now: 0)
  }

  // MARK: - Choices of the input

  func client(_ byte: UInt8) -> ClientID? { clients.isEmpty ? nil : clients[Int(byte) % clients.count] }

  func stream(_ input: inout InputReader) -> StreamID {
    Self.choose(from: streams, &input) { StreamID(rawValue: $0) }
  }

  func subscription(_ input: inout InputReader) -> SubscriptionID {
    Self.choose(from: subscriptions, &input) { SubscriptionID(rawValue: $0) }
  }

  func segment(_ input: inout InputReader) -> SegmentIdentity {
    Self.choose(from: segments, &input) { SegmentIdentity(id: SegmentID(rawValue: $0), epoch: 1) }
  }

  /// One that is known, counted from the latest, or any number, 0 excepted: no message can carry it.
  private static func choose<Value>(
    from known: [Value], _ input: inout InputReader, any: (UInt64) -> Value
  ) -> Value {
    let byte = input.byte()
    guard byte < 0xc0, !known.isEmpty else { return any(UInt64(byte) + 1) }
    return known[known.count - 1 - Int(byte) % known.count]
  }

  // Few, so that what one client says of them meets what another does. Whoever speaks of them by another step may mean them.

  mutating func returningStream(_ input: inout InputReader) -> StreamID {
    let stream = StreamID(rawValue: Self.lifeBefore.firstID + UInt64(input.byte() % 4) + 1)
    streams.append(stream)
    return stream
  }

  mutating func returningSubscription(_ input: inout InputReader) -> SubscriptionID {
    let subscription = Self.returningSubscription(input.byte() % 8)
    subscriptions.append(subscription)
    return subscription
  }

  static func returningSubscription(_ number: UInt8) -> SubscriptionID {
    SubscriptionID(rawValue: lifeBefore.firstID + UInt64(number) + 1)
  }

  mutating func returningSegment(_ input: inout InputReader, epoch: UInt32) -> SegmentIdentity {
    let id = SegmentID(rawValue: Self.lifeBefore.firstID + UInt64(input.byte() % 8) + 1)
    segments.append(SegmentIdentity(id: id, epoch: epoch))
    return SegmentIdentity(id: id, epoch: epoch)
  }

  // MARK: - What happens

  mutating func connect() {
    guard clients.count < Self.mostClients else { return }
    let client = core.clientConnected(processID: 1, peer: Peer(userID: 0), now: now)
    clients.append(client)
    // As a rule they are polite; step 1 says it another time, or wrong.
    if clients.count > 1 { tell(client, .hello(Hello(name: "fuzz"))) }
  }

  mutating func tell(_ client: ClientID, _ message: ClientMessage) {
    now += 1
    perform(core.handle(message, from: client, contents: contents, now: now), after: client)
  }

  /// A client offers a segment of the node before, with memory.
  mutating func offer(_ offer: OfferSegment, from client: ClientID, _ memory: Memory) {
    arrived = memory
    tell(client, .offerSegment(offer))
    arrived = nil
  }

  /// What a socket brings.
  mutating func receive(_ packet: [UInt8], from client: ClientID) {
    do throws(ProtocolError) {
      // SAFETY: an array of bytes has no padding.
      let message = try ClientMessage.decode(unsafe packet.span.bytes)
      tell(client, message)
    } catch {
      perform(core.refuse(client, .malformed, "\(error)"), after: client)
    }
  }

  /// A publisher commits messages, or what it says are messages.
  mutating func commit(_ sequence: UInt64, in segment: SegmentIdentity, count: Int) {
    guard stored.contains(segment.id) else { return }
    for index in 0..<count where sequence &+ UInt64(index) > 0 {
      contents.log[segment, default: []].append(sequence &+ UInt64(index))
    }
  }

  mutating func finishCreation(succeeds: Bool) {
    guard !inCreation.isEmpty else { return }
    let segment = inCreation.removeFirst()
    if !succeeds {
      perform(core.segmentCreationFailed(segment, contents: contents, now: now))
    } else if core.segments[segment] != nil {
      stored.insert(segment)
      perform(core.segmentCreated(segment, contents: contents, now: now))
    }
  }

  mutating func advance(by nanoseconds: UInt64) {
    now += nanoseconds
    perform(core.advance(to: now, contents: contents))
  }

  mutating func leave(_ client: ClientID) {
    perform(core.clientLeft(client, contents: contents, now: now))
  }

  mutating func die(_ client: ClientID) {
    clients.removeAll { $0 == client }
    perform(core.clientDied(client, contents: contents, now: now))
  }

  /// All die, and nobody returns in time: nothing may be left of them.
  mutating func end() {
    while let client = clients.last { die(client) }
    while !inCreation.isEmpty { finishCreation(succeeds: true) }
    advance(by: core.configuration.rejoinGrace.wholeNanoseconds)
    let usage = core.ledger.poolUsage
    require(usage.free + usage.retained == core.ledger.total, "the dead hold \(usage)")
    require(alive == Set(core.segments.keys), "the memory of \(alive) is kept for \(core.segments.keys)")
    // What is retained outlives its publisher, and its stream with it.
    guard usage.retained == 0 else { return }
    require(core.ledger.beyond == 0, "\(core.ledger.beyond) bytes beyond the contribution are not paid back")
    let remembered = [
      "clients": core.clients.count, "streams": core.streams.count, "subscriptions": core.subscriptions.count,
      "segments": core.segments.count, "leases": core.leases.count, "creations": core.creating.count,
      "awaited listeners": core.awaitedListeners.count,
    ].filter { $0.value > 0 }
    require(remembered.isEmpty, "the node remembers of the dead \(remembered)")
  }

  // MARK: - What the node does about it

  /// - Parameter sender: who may be sent away for what it said.
  private mutating func perform(_ actions: [NodeAction], after sender: ClientID? = nil) {
    var sentAway: ClientID?
    for action in actions {
      switch action {
      case .send(let message, let client, let attachment): send(message, to: client, attachment)
      case .create(let segment, _, _):
        require(alive.insert(segment).inserted, "\(segment) is made twice")
        inCreation.append(segment)
      case .destroy(let segment):
        require(alive.remove(segment) != nil, "\(segment) is destroyed, and isn't there")
        stored.remove(segment)
        contents.log = contents.log.filter { $0.key.id != segment }
      case .sealAgainstFurtherWriters(let segment): if stored.contains(segment) { sealed.insert(segment) }
      case .disconnect(let client, _):
        require(client == sender, "\(client) is sent away for what another did")
        sentAway = client
      case .examine(let offer, let topic, let client, let overrules):
        let memory = examine(offer.segment.id, overrules: overrules)
        perform(
          core.offerExamined(offer, of: topic, from: client, memory, contents: contents, now: now), after: sender)
        plant(stored.contains(offer.segment.id), "memory of the node before")
      case .forgetClient(let client): clients.removeAll { $0 == client }
      case .keepWakePage, .dropWakePage: break
      }
    }
    require(core.ledger.isConserved, "the ledger does not sum to the contribution")
    let violations = core.ledger.violations()
    require(violations.isEmpty, violations.joined(separator: "; "))
    if let sentAway { leave(sentAway) }
  }

  /// What `SegmentStore` says of memory that is offered, and does.
  private mutating func examine(_ id: SegmentID, overrules: Bool) -> OfferedMemory {
    guard let memory = arrived else { return .unsound("no memory comes with a fuzzed packet") }
    if stored.contains(id), memory == .other {
      guard overrules else { return .differs }
      contents.log = contents.log.filter { $0.key.id != id }
    }
    alive.insert(id)
    stored.insert(id)
    sealed.insert(id)
    return .sound
  }

  private mutating func send(_ message: NodeMessage, to client: ClientID, _ attachment: Attachment?) {
    require((try? message.encoded()) != nil, "a message can't be encoded: \(message)")
    switch attachment {
    case .writable(let segment):
      require(stored.contains(segment) && !sealed.contains(segment), "\(segment) is granted, and can't be written")
      require(core.segments[segment].flatMap { core.streams[$0.stream] }?.client == client, "\(segment) is another's")
    case .readOnly(let segment):
      require(stored.contains(segment) && sealed.contains(segment), "\(segment) is handed while it can be written")
    case .wakePage, nil: break
    }
    switch message {
    case .publisherOpened(let opened): streams.append(opened.stream)
    case .subscribed(let subscribed): subscriptions.append(subscribed.subscription)
    case .leaseGranted(let granted):
      plant(granted.warm, "a segment that is granted again")
      segments.append(granted.segment)
    case .lagged(let lagged): plant(lagged.messageCount > 0, "messages that were evicted")
    default: break
    }
  }
}

/// What publishers have committed, by the input's word: any sequences in any order.
private struct FuzzedContents: SegmentContents {
  var log: [SegmentIdentity: [UInt64]] = [:]

  // Some segments were renewed, and some who were handed one have read it.
  func currentLife(of segment: SegmentIdentity) -> SegmentIdentity {
    let renewals = segment.epoch < .max ? UInt32(segment.id.rawValue % 5 / 4) : 0
    return SegmentIdentity(id: segment.id, epoch: segment.epoch + renewals)
  }
  func noteClosed(_ segment: SegmentID) {}
  func noteJoins(_ count: UInt64, in segment: SegmentID) {}
  func hasAcknowledged(_ segment: SegmentIdentity, by subscription: SubscriptionID, at place: UInt32) -> Bool {
    (segment.id.rawValue + subscription.rawValue).isMultiple(of: 3)
  }
  func committed(in segment: SegmentIdentity) -> UInt32 { UInt32(log[segment]?.count ?? 0) }
  func firstSequence(in segment: SegmentIdentity) -> UInt64? { log[segment]?.first }
  func lastSequence(in segment: SegmentIdentity) -> UInt64? { log[segment]?.last }
  func firstSequence(in segment: SegmentIdentity, publishedSince time: UInt64) -> UInt64? {
    log[segment]?.first { $0 >= time }
  }
  func lastPublished(in segment: SegmentIdentity) -> UInt64? { log[segment]?.last }
  func sequences(in segment: SegmentIdentity) -> [ClosedRange<UInt64>] { (log[segment] ?? []).map { $0...$0 } }
}
