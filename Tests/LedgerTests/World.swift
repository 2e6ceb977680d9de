import Testing
import Vocabulary

@testable import Ledger

/// A ledger, and a node that does at once what it decides, and takes notes. Holders unmap when they are told to, or when
/// a test lets them.
struct World {
  static let page: UInt64 = 4096

  private(set) var ledger: Ledger
  var now: UInt64 = 1
  /// Whether holders unmap at once what they are asked for.
  var unmapsAtOnce = true

  private(set) var granted: [UInt64: SegmentIdentity] = [:]
  private(set) var warmGrants = 0
  private(set) var refused: [UInt64: LeaseRefusal] = [:]
  private(set) var handed: [SubscriptionID: [SegmentIdentity]] = [:]
  private(set) var lagged: [SubscriptionID: [SegmentIdentity]] = [:]
  private(set) var ends: [SubscriptionID: [StreamID]] = [:]
  private(set) var sealsTold: [SegmentIdentity: UInt32] = [:]
  private(set) var askedBack: [StreamID] = []
  private(set) var asked: [(segment: SegmentID, holder: Holder)] = []
  private var lastID: UInt64 = 0

  init(pages: UInt64, quotas: [TopicQuota] = []) {
    ledger = Ledger(contribution: pages * Self.page, quotas: quotas)
  }

  // MARK: - What clients do

  mutating func publisher(
    _ topic: String, whenFull: FullPolicy = .wait(timeout: nil), retention: Retention? = nil, user: UInt32 = 0,
    limit: UserLimit = .none
  ) -> StreamID {
    let id = StreamID(rawValue: next())
    perform(
      ledger.openStream(
        id, client: ClientID(rawValue: 1), topic: try! TopicName(topic), whenFull: whenFull, retention: retention,
        user: UserID(rawValue: user), limit: limit, now: now))
    return id
  }

  mutating func subscriber(
    _ pattern: String, observes: Bool = false, wantsRetained: Bool = true, backlog: BacklogLimit = .none
  ) -> SubscriptionID {
    let id = SubscriptionID(rawValue: next())
    perform(
      ledger.subscribe(
        id, client: ClientID(rawValue: 2), pattern: try! TopicPattern(pattern), observes: observes,
        wantsRetained: wantsRetained, backlog: backlog, now: now))
    return id
  }

  /// Asks for a lease; what comes of it is in `granted` or `refused`, under the number that this returns.
  ///
  /// - Parameter minimum: pages that will do while memory is short.
  mutating func ask(_ stream: StreamID, pages: UInt64 = 1, minimum: UInt64? = nil, isAhead: Bool = false) -> UInt64 {
    let id = next()
    perform(
      ledger.requestLease(
        id, stream: stream, capacity: pages * Self.page, minimum: minimum.map { $0 * Self.page }, isAhead: isAhead,
        now: now))
    return id
  }

  /// A lease that must be granted at once.
  mutating func lease(
    _ stream: StreamID, pages: UInt64 = 1, _ location: SourceLocation = #_sourceLocation
  ) throws -> SegmentIdentity {
    let id = ask(stream, pages: pages)
    return try #require(granted[id], "refused: \(String(describing: refused[id]))", sourceLocation: location)
  }

  /// Leases a segment, fills it and seals it.
  mutating func publish(
    _ stream: StreamID, pages: UInt64 = 1, slots: UInt32 = 1, _ location: SourceLocation = #_sourceLocation
  ) throws -> SegmentIdentity {
    let segment = try lease(stream, pages: pages, location)
    seal(segment, slots: slots)
    return segment
  }

  mutating func seal(_ segment: SegmentIdentity, slots: UInt32 = 1, acknowledged: Set<SubscriptionID> = []) {
    perform(ledger.seal(segment.id, LogEnd(epoch: segment.epoch, slots: slots, acknowledged: acknowledged), now: now))
  }
  mutating func release(_ segment: SegmentIdentity, by id: SubscriptionID) {
    perform(ledger.release(segment, by: id, now: now))
  }
  mutating func cancel(_ lease: UInt64) { perform(ledger.cancelLease(lease, now: now)) }
  mutating func pass(_ segment: SegmentIdentity, by id: SubscriptionID) {
    perform(ledger.passed(segment, by: id, now: now))
  }
  mutating func unmap(_ segment: SegmentID, by holder: Holder) {
    asked.removeAll { $0 == (segment, holder) }
    perform(ledger.unmapped(segment, by: holder, now: now))
  }
  mutating func close(_ stream: StreamID, committed: [SegmentIdentity: UInt32] = [:], isDead: Bool = false) {
    let ends = committed.map { ($0.key.id, LogEnd(epoch: $0.key.epoch, slots: $0.value)) }
    let mapped = ledger.mappings(of: .publisher(stream))
    perform(ledger.closeStream(stream, ends: Dictionary(uniqueKeysWithValues: ends), mappingsGone: isDead, now: now))
    guard !isDead else { return }
    for segment in mapped { unmap(segment, by: .publisher(stream)) }
  }
  mutating func leave(_ id: SubscriptionID, _ departure: Departure = .closed) {
    perform(ledger.unsubscribe(id, departure, now: now))
  }
  mutating func advance(by nanoseconds: UInt64) {
    now += nanoseconds
    perform(ledger.advance(to: now))
  }
  /// Everybody unmaps what they were asked for.
  mutating func unmapAll() {
    while let (segment, holder) = asked.first { unmap(segment, by: holder) }
  }

  // MARK: - What there is to see

  func state(of segment: SegmentIdentity) -> SegmentState? {
    ledger.segmentRows.first { $0.identity == segment }?.state
  }
  var usage: PoolUsage { ledger.poolUsage }
  func pages(_ count: UInt64) -> UInt64 { count * Self.page }

  // MARK: - The node

  private mutating func next() -> UInt64 {
    lastID += 1
    return lastID
  }

  private mutating func perform(_ actions: [LedgerAction]) {
    for action in actions {
      switch action {
      case .create(let id, _, let lease, _): grant(SegmentIdentity(id: id, epoch: 1), lease)
      case .regrant(let segment, let lease, _):
        warmGrants += 1
        grant(segment, lease)
      case .refuse(let lease, let reason): refused[lease] = reason
      case .hand(let segment, let id, _, _): handed[id, default: []].append(segment)
      case .tellSealed(let segment, _, _, let slots): sealsTold[segment] = slots
      case .askBack(let stream): askedBack.append(stream)
      case .forget(let segment, let holder):
        asked.append((segment, holder))
        if unmapsAtOnce { unmap(segment, by: holder) }
      case .lag(let segment, let id, _): lagged[id, default: []].append(segment)
      case .endStream(let stream, let id): ends[id, default: []].append(stream)
      case .destroy, .introduce: break
      }
    }
    #expect(ledger.violations() == [])
  }

  private mutating func grant(_ segment: SegmentIdentity, _ lease: UInt64) {
    granted[lease] = segment
    perform(ledger.segmentReady(segment, now: now))
  }
}
