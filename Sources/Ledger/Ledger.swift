import Vocabulary

/// The node's books: who leased a segment, who was promised it, who has released it; and the reclaimer's decisions.
///
/// A pure state machine: every method takes what happened and returns what is to be done. It holds no clock, socket or
/// mapping; `now` is nanoseconds of a monotonic clock. What a client says about something that has passed (an epoch that
/// is over, a segment that was taken back) has no effect.
///
/// Every byte of the contribution is free, or in one segment, which is in one ``SegmentState``.
public struct Ledger: Sendable {
  enum Limits {
    /// Segments of one stream that a subscription may have and not have read. So a stopped one pins few.
    static let handedWindow = 4
    /// The share of the pool that it may have so, beyond one segment of each stream: one in so many.
    static let handedShare: UInt64 = 4
    /// Segments that are kept warm for a stream.
    static let warmSegmentsPerStream = 8
    /// How long, in nanoseconds, one waits for holders to unmap what was taken from them before more is taken.
    static let unmapGrace: UInt64 = 100_000_000
  }

  public let contribution: UInt64
  let quotas: [TopicQuota]

  var segments: [SegmentID: SegmentRecord] = [:]
  var streams: [StreamID: StreamRecord] = [:]
  var subscriptions: [SubscriptionID: SubscriptionRecord] = [:]
  var topics: [TopicName: TopicRecord] = [:]
  var users: [UserID: UserRecord] = [:]
  /// Warm segments, least recently used first.
  var warm: [SegmentID] = []
  /// Retained segments, oldest first.
  var retained: [SegmentID] = []
  var waiting: [WaitingLease] = []
  /// Taken back, and not unmapped yet.
  var pinned: Set<SegmentID> = []
  /// Streams and subscriptions of the node before that others have spoken of.
  var awaited: Set<Holder> = []
  /// Bytes that were adopted beyond the contribution.
  public internal(set) var beyond: UInt64 = 0
  /// Topics that keep something by age.
  var aging: Set<TopicName> = []
  var usage = PoolUsage()
  var counters = Counters()
  var steps = RecentSteps()
  /// The books did not sum once: nothing is leased any more.
  public internal(set) var isOutOfBalance = false
  /// The latest time that was told.
  var clock: UInt64 = 0
  private var lastSegment: UInt64
  /// Leases and completions so far.
  private var lastEvent: UInt64 = 0

  /// - Parameters:
  ///   - quotas: the first whose pattern matches a topic counts.
  ///   - life: of the node: segments are numbered within it. Nil, as in tests, for numbers from 1.
  public init(contribution: UInt64, quotas: [TopicQuota] = [], life: NodeLife? = nil) {
    lastSegment = life?.firstID ?? 0
    self.contribution = contribution
    self.quotas = quotas
    usage.free = contribution
  }

  /// Bytes of the pool at present.
  public var total: UInt64 { contribution + beyond }

  /// Bytes that a topic's segments may have.
  public func quota(of topic: TopicName) -> UInt64 {
    let quota = topics[topic]?.quota ?? quotas.first { $0.pattern.matches(topic) }?.bytes
    return min(quota ?? contribution, contribution)
  }

  mutating func nextSegment() -> SegmentID {
    lastSegment += 1
    return SegmentID(rawValue: lastSegment)
  }

  /// The place of a lease or a completion among all of them.
  mutating func nextEvent() -> UInt64 {
    lastEvent += 1
    return lastEvent
  }

  /// The one place where bytes change their state.
  mutating func move(_ id: SegmentID, to state: SegmentState, now: UInt64) {
    guard let segment = segments[id], segment.state != state else { return }
    // Wrapping: wrong books are told and leased from no more, but end nobody.
    usage[segment.state] &-= segment.capacity
    usage[state] &+= segment.capacity
    note(segment, from: segment.state, to: state)
    switch segment.state {
    case .warm:
      warm.removeAll { $0 == id }
      streams[segment.stream]?.warm.removeAll { $0 == id }
    case .retained: retained.removeAll { $0 == id }
    case .pinned: pinned.remove(id)
    case .leased, .sealed: break
    }
    switch state {
    case .warm:
      warm.append(id)
      streams[segment.stream]?.warm.append(id)
    case .retained: retained.append(id)
    case .pinned: pinned.insert(id)
    case .leased, .sealed: break
    }
    if state != .sealed && state != .retained { topics[segment.topic]?.sealed.removeAll { $0 == id } }
    if segment.state == .leased && state == .sealed { topics[segment.topic]?.sealed.append(id) }
    segments[id]?.state = state
    segments[id]?.stateSince = now
  }
}

/// Bytes of the pool by where they are.
public struct PoolUsage: Equatable, Sendable {
  public internal(set) var free: UInt64 = 0
  public internal(set) var leased: UInt64 = 0
  public internal(set) var sealed: UInt64 = 0
  public internal(set) var retained: UInt64 = 0
  public internal(set) var warm: UInt64 = 0
  public internal(set) var pinned: UInt64 = 0

  public var total: UInt64 { free &+ leased &+ sealed &+ retained &+ warm &+ pinned }

  subscript(_ state: SegmentState) -> UInt64 {
    get {
      switch state {
      case .leased: leased
      case .sealed: sealed
      case .retained: retained
      case .warm: warm
      case .pinned: pinned
      }
    }
    set {
      switch state {
      case .leased: leased = newValue
      case .sealed: sealed = newValue
      case .retained: retained = newValue
      case .warm: warm = newValue
      case .pinned: pinned = newValue
      }
    }
  }
}

/// What has happened since the node started.
public struct Counters: Equatable, Sendable {
  /// Leases granted, with new or with recycled memory.
  public internal(set) var segmentsLeased: UInt64 = 0
  /// Those of them that were given their publisher's memory again, warm.
  public internal(set) var segmentsRecycled: UInt64 = 0
  /// Segments taken back when nobody needed what they held any more.
  public internal(set) var segmentsReclaimed: UInt64 = 0
}
