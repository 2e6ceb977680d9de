import TestSupport
import Testing
import Vocabulary

@testable import Ledger

/// Long random lives of a ledger: after every step its books must be in order, and in the end the pool be free.
@Suite struct RandomizedTests {
  /// Whatever the clock does: it is monotonic where there is a real one, and the books must not depend on that.
  @Test(arguments: [RandomLife.Clock.steady, .steady, .steady, .setBackAndForward])
  func theBooksAreInOrderAfterEveryStep(clock: RandomLife.Clock) {
    let seed = UInt64.random(in: 0 ... .max)
    var life = RandomLife(seed: seed, clock: clock)
    for step in 1...25_000 {
      life.step()
      let violations = life.ledger.violations() + life.complaints
      guard violations.isEmpty else {
        Issue.record("seed \(seed), step \(step): \(violations)")
        return
      }
    }
    life.endAll()
    let bytes = life.ledger.poolUsage
    // What a topic keeps by count outlives its publishers.
    #expect(bytes.free + bytes.retained == life.ledger.contribution, "seed \(seed): \(bytes)")
    #expect(life.ledger.violations() + life.complaints == [], "seed \(seed)")
  }
}

/// Publishers, subscribers and a node that do random things, some of them late, false or repeated.
struct RandomLife {
  enum Clock: Sendable {
    case steady, setBackAndForward
  }

  /// Of three users, one unbounded.
  static let limits = [UserLimit.none, UserLimit(bytes: 400 << 10), UserLimit(bytes: 600 << 10, segments: 6)]

  var ledger: Ledger
  /// What went wrong beyond the ledger's own check.
  var complaints: [String] = []
  private var random: SplitMix64
  private var now: UInt64 = 1
  private var lastID: UInt64 = 0
  private var streams: [StreamID] = []
  private var subscriptions: [SubscriptionID] = []
  /// Leased segments, and how many messages their publishers have written.
  private var open: [SegmentIdentity: (stream: StreamID, slots: UInt32)] = [:]
  /// Who reads what: handed, and not released.
  private var borrowed: [SegmentIdentity: Set<SubscriptionID>] = [:]
  /// What holders were asked to unmap and have not yet.
  private var asked: [(SegmentID, Holder)] = []
  /// The latest leases that were asked for.
  private var asking: [UInt64] = []
  private var creating: [(SegmentID, UInt64, StreamID)] = []

  private let clock: Clock

  init(seed: UInt64, clock: Clock) {
    self.clock = clock
    random = SplitMix64(seed: seed)
    let quota = TopicQuota(pattern: try! TopicPattern("b/**"), bytes: 256 << 10)
    ledger = Ledger(contribution: 1 << 20, quotas: [quota])
  }

  mutating func step() {
    now = now.addingClamped(UInt64.random(in: 0...20_000_000, using: &random))
    if clock == .setBackAndForward, Int.random(in: 0..<50, using: &random) == 0 {
      let times: [UInt64] = [0, 1, now / 2, now.addingClamped(1 << 40), .max - 1, .max]
      now = times.randomElement(using: &random)!
    }
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<2: openStream()
    case 2..<4: subscribe()
    case 4: closeStream()
    case 5: unsubscribe()
    case 6..<30: lease()
    case 30..<45: finishCreation()
    case 45..<60: write()
    case 60..<72: seal()
    case 72..<88: release()
    case 88..<94: unmap()
    case 94..<97: perform(ledger.advance(to: now))
    default: lie()
    }
  }

  /// Everybody leaves.
  mutating func endAll() {
    while !streams.isEmpty { closeStream() }
    while !subscriptions.isEmpty { unsubscribe() }
    while !creating.isEmpty { finishCreation() }
    while !asked.isEmpty { unmap() }
    now = .max
    perform(ledger.advance(to: now))
    while !asked.isEmpty { unmap() }
  }

  private mutating func nextID() -> UInt64 {
    lastID += 1
    return lastID
  }

  private mutating func openStream() {
    guard streams.count < 6 else { return }
    let id = StreamID(rawValue: nextID())
    let topic = ["a", "b/1", "b/2"].randomElement(using: &random)!
    let policies: [FullPolicy] = [.wait(timeout: nil), .wait(timeout: .milliseconds(50)), .fail, .evictOldest]
    let retentions: [Retention?] = [
      nil, .init(messages: 5), .init(bytes: 200_000), .init(age: .milliseconds(300)), Retention.none,
    ]
    streams.append(id)
    perform(
      ledger.openStream(
        id, client: ClientID(rawValue: 1), topic: try! TopicName(topic),
        whenFull: policies.randomElement(using: &random)!, retention: retentions.randomElement(using: &random)!,
        user: UserID(rawValue: UInt32(id.rawValue % 3)), limit: Self.limits[Int(id.rawValue % 3)], now: now))
  }

  private mutating func closeStream() {
    guard let id = streams.randomElement(using: &random) else { return }
    streams.removeAll { $0 == id }
    let mine = open.filter { $0.value.stream == id }.sorted { $0.key.id < $1.key.id }
    for segment in mine { open[segment.key] = nil }
    let isDead = Bool.random(using: &random)
    if isDead { asked.removeAll { $0.1 == .publisher(id) } }
    perform(
      ledger.closeStream(
        id, ends: Dictionary(uniqueKeysWithValues: mine.map { ($0.key.id, end(of: $0.key, $0.value.slots)) }),
        mappingsGone: isDead, now: now))
    guard !isDead else { return }
    for segment in ledger.mappings(of: .publisher(id)) where isMade(segment) { asked.append((segment, .publisher(id))) }
  }

  private mutating func subscribe() {
    guard subscriptions.count < 6 else { return }
    let id = SubscriptionID(rawValue: nextID())
    let limits: [BacklogLimit] = [.none, .init(messages: 10), .init(bytes: 150_000)]
    subscriptions.append(id)
    perform(
      ledger.subscribe(
        id, client: ClientID(rawValue: 2),
        pattern: try! TopicPattern(["**", "a", "b/*"].randomElement(using: &random)!),
        observes: Int.random(in: 0..<8, using: &random) == 0, wantsRetained: Bool.random(using: &random),
        backlog: limits.randomElement(using: &random)!, now: now))
  }

  private mutating func unsubscribe() {
    guard let id = subscriptions.randomElement(using: &random) else { return }
    subscriptions.removeAll { $0 == id }
    let isDead = Bool.random(using: &random)
    if isDead { asked.removeAll { $0.1 == .subscription(id) } }
    // Alive, it may read on what it has until it unmaps it.
    if isDead { for segment in borrowed.keys { borrowed[segment]?.remove(id) } }
    perform(ledger.unsubscribe(id, isDead ? .died : .closed, now: now))
  }

  private mutating func lease() {
    guard let stream = streams.randomElement(using: &random) else { return }
    let pages = [2, 4, 16, 16, 16, 64, 300].randomElement(using: &random)!
    let id = nextID()
    asking.append(id)
    // Nobody waits for ever.
    if asking.count > 12 { perform(ledger.cancelLease(asking.removeFirst(), now: now)) }
    perform(
      ledger.requestLease(
        id, stream: stream, capacity: UInt64(pages) * 4096,
        minimum: Bool.random(using: &random) ? 2 * 4096 : nil, isAhead: Bool.random(using: &random), now: now))
  }

  private mutating func finishCreation() {
    guard !creating.isEmpty else { return }
    let (segment, lease, stream) = creating.remove(at: Int.random(in: creating.indices, using: &random))
    if Int.random(in: 0..<12, using: &random) == 0 {
      perform(ledger.creationFailed(segment, lease: lease, now: now))
    } else if streams.contains(stream) {
      begin(SegmentIdentity(id: segment, epoch: 1), stream)
    } else {
      // Its publisher lets go of what it has no use for any more.
      asked.append((segment, .publisher(stream)))
    }
  }

  private func isMade(_ segment: SegmentID) -> Bool { !creating.contains { $0.0 == segment } }

  private mutating func begin(_ segment: SegmentIdentity, _ stream: StreamID) {
    open[segment] = (stream, 0)
    perform(ledger.segmentReady(segment, now: now))
  }

  private mutating func write() {
    guard let segment = anyOpen() else { return }
    open[segment]?.slots += 1
  }

  private mutating func seal() {
    guard let segment = anyOpen(), let (_, slots) = open.removeValue(forKey: segment) else { return }
    perform(ledger.seal(segment.id, end(of: segment, slots), now: now))
  }

  /// The life that ends may be a later one than was leased, and some may have read it already.
  private mutating func end(of segment: SegmentIdentity, _ slots: UInt32) -> LogEnd {
    var readers = borrowed.removeValue(forKey: segment) ?? []
    let epoch = segment.epoch + UInt32.random(in: 0...2, using: &random)
    let acknowledged = Set(readers.sorted().filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
    readers.subtract(acknowledged)
    borrowed[SegmentIdentity(id: segment.id, epoch: epoch)] = readers
    return LogEnd(epoch: epoch, slots: slots, acknowledged: acknowledged)
  }

  private mutating func anyOpen() -> SegmentIdentity? {
    open.keys.sorted { ($0.id, $0.epoch) < ($1.id, $1.epoch) }.randomElement(using: &random)
  }

  private mutating func release() {
    let held = borrowed.filter { !$0.value.isEmpty }.keys.sorted { ($0.id, $0.epoch) < ($1.id, $1.epoch) }
    // Only what is sealed is read to its end.
    guard let segment = held.filter({ open[$0] == nil }).randomElement(using: &random),
      let reader = borrowed[segment]?.sorted().randomElement(using: &random)
    else { return }
    if Int.random(in: 0..<4, using: &random) == 0 {
      perform(ledger.passed(segment, by: reader, now: now))
      return
    }
    borrowed[segment]?.remove(reader)
    perform(ledger.release(segment, by: reader, now: now))
  }

  private mutating func unmap() {
    guard !asked.isEmpty else { return }
    let (segment, holder) = asked.remove(at: Int.random(in: asked.indices, using: &random))
    if case .subscription(let id) = holder {
      for identity in borrowed.keys where identity.id == segment { borrowed[identity]?.remove(id) }
    }
    perform(ledger.unmapped(segment, by: holder, now: now))
  }

  /// Says what is not so, or no longer.
  private mutating func lie() {
    let segment = SegmentIdentity(
      id: SegmentID(rawValue: UInt64.random(in: 0...40, using: &random)),
      epoch: UInt32.random(in: 0...3, using: &random))
    let stranger = SubscriptionID(rawValue: 1_000_000)
    perform(ledger.release(segment, by: stranger, now: now))
    perform(ledger.passed(segment, by: stranger, now: now))
    perform(ledger.unmapped(segment.id, by: .subscription(stranger), now: now))
    perform(ledger.unmapped(segment.id, by: .publisher(StreamID(rawValue: 1_000_000)), now: now))
    perform(ledger.seal(segment.id, LogEnd(epoch: 0, slots: 3), now: now))
    perform(ledger.cancelLease(UInt64.random(in: 0...lastID, using: &random), now: now))
  }

  /// Does what the ledger decided, as the node would.
  private mutating func perform(_ actions: [LedgerAction]) {
    for action in actions {
      switch action {
      case .create(let segment, _, let lease, let stream): creating.append((segment, lease, stream))
      case .regrant(let segment, _, let stream):
        for (identity, readers) in borrowed where identity.id == segment.id && !readers.isEmpty {
          complaints.append("\(segment) is written anew while \(readers) read it")
        }
        if streams.contains(stream) { begin(segment, stream) }
      case .hand(let segment, let subscription, _, _):
        borrowed[segment, default: []].insert(subscription)
      case .askBack(let stream):
        let unused = open.filter { $0.value.stream == stream && $0.value.slots == 0 }.keys
        for segment in unused.sorted(by: { ($0.id, $0.epoch) < ($1.id, $1.epoch) }) {
          open[segment] = nil
          perform(ledger.seal(segment.id, LogEnd(epoch: segment.epoch, slots: 0), now: now))
        }
      case .forget(let segment, let holder): if isMade(segment) { asked.append((segment, holder)) }
      case .tellSealed(let segment, let subscription, _, 0): borrowed[segment]?.remove(subscription)
      case .destroy(let segment):
        for (identity, readers) in borrowed where identity.id == segment && !readers.isEmpty {
          complaints.append("\(identity) is destroyed while \(readers) read it")
        }
        borrowed = borrowed.filter { $0.key.id != segment }
        asked.removeAll { $0.0 == segment }
        creating.removeAll { $0.0 == segment }
        for identity in open.keys where identity.id == segment { open[identity] = nil }
      case .introduce, .refuse, .tellSealed, .lag, .endStream: break
      }
    }
    if !ledger.isConserved { complaints.append("the states do not sum to the contribution") }
  }
}
