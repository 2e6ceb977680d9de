import Vocabulary

// After the node has started anew its clients return, in any order, with what they had of the node before. A stream or a
// subscription is away from when the first that knows it speaks of it until all that its own client has is here. What is
// away is given nothing, but kept everything: it is promised what it may have missed.

/// What is missing of a stream, or a subscription, that the node before knew.
enum Absence: Equatable, Sendable {
  /// Others spoke of it; its own client is waited for until this time.
  case awaited(until: UInt64)
  /// Its client is telling what it has.
  case returning
}

/// Why a client can't go on with what it says it had.
public enum ReturnRefusal: Error, Equatable, Sendable {
  /// Another has it, or it has ended.
  case notTheirs
  /// It is of another topic, size or stream than others say.
  case contradiction
  /// Beyond what the pool can take in.
  case tooMuch
}

/// How far a subscription is with a segment that it offers.
public enum ReadingProgress: Sendable { case unread, passed, released }

/// What a segment holds.
public struct SegmentFilling: Equatable, Sendable {
  public var slots: UInt32
  /// From its first message's to its last one's; nil if it holds none.
  public var sequences: ClosedRange<UInt64>?
  /// When its last message was published; nil if it holds none.
  public var lastPublished: UInt64?

  public init(slots: UInt32, sequences: ClosedRange<UInt64>?, lastPublished: UInt64? = nil) {
    self.slots = slots
    self.sequences = sequences
    self.lastPublished = lastPublished
  }
}

extension SubscriptionID {
  /// Stands for whoever may have been a subscription of the node before: no subscription has this number.
  public static let anybody = SubscriptionID(rawValue: 0)
}

extension Ledger {
  /// As many streams and subscriptions may be spoken of by others at once.
  static let maximumAwaited = 65_536

  // MARK: - Who returns

  /// The node before may have had subscriptions that nobody else knows. Until the deadline, what is published in new
  /// streams is kept for them.
  public mutating func awaitAnybody(until deadline: UInt64, now: UInt64) {
    expect(.anybody, of: .everything, until: deadline, now: now)
  }

  private mutating func expect(
    _ id: SubscriptionID, of pattern: TopicPattern, until deadline: UInt64, now: UInt64
  ) {
    awaited.insert(.subscription(id))
    var record = SubscriptionRecord(
      id: id, client: .nobody, pattern: pattern, readable: .all, observes: false, wantsRetained: false, limit: .none,
      joined: now)
    record.absence = .awaited(until: deadline)
    subscriptions[id] = record
  }

  /// A publisher goes on with its stream. It offers its segments next, then ``streamReturned(_:contents:now:)``.
  ///
  /// - Parameters:
  ///   - opened: when that was.
  ///   - listeners: subscriptions that were promised the stream: those that are not back are awaited.
  ///   - deadline: until when these are awaited.
  public mutating func returnStream(
    _ id: StreamID, client: ClientID, topic: TopicName, whenFull: FullPolicy, retention: Retention?,
    opened: UInt64 = 0, user: UserID, limit: UserLimit, listeners: [SubscriptionID], awaitedUntil deadline: UInt64,
    now: UInt64
  ) throws(ReturnRefusal) -> [LedgerAction] {
    if let known = streams[id] {
      guard known.isAwaited else { throw .notTheirs }
      guard known.topic == topic else { throw .contradiction }
    } else {
      addAway(id, topic: topic, now: now)
    }
    streams[id]?.client = client
    streams[id]?.opened = min(opened, now)
    give(id, to: user, limit: limit)
    streams[id]?.whenFull = whenFull
    streams[id]?.absence = .returning
    awaited.remove(.publisher(id))
    for listener in Set(listeners).sorted() {
      if subscriptions[listener] == nil {
        guard awaited.count < Self.maximumAwaited else { throw .tooMuch }
        expect(listener, of: TopicPattern(topic), until: deadline, now: now)
      }
      if subscriptions[listener]?.isAwaited == true { list(listener, on: id) }
    }
    // One that is no older than others may be late knows not all who want it.
    let isYoung = min(opened, now).saturatingAdd(deadline - min(now, deadline)) >= now
    if isYoung, subscriptions[.anybody]?.isAwaited == true { list(.anybody, on: id) }
    var actions: [LedgerAction] = []
    if let retention {
      topics[topic]?.retention = retention
      if retention.age == nil { aging.remove(topic) } else { aging.insert(topic) }
      reviewRetention(of: topic, now: now, &actions)
    }
    return settle(actions, now: now)
  }

  /// A publisher's client has gone before it had told all that it has: it is awaited as if it had not come.
  public mutating func interruptReturn(of id: StreamID, mappingsGone: Bool, awaitedUntil deadline: UInt64) {
    guard let stream = streams[id], stream.absence == .returning else { return }
    streams[id]?.client = .nobody
    streams[id]?.absence = .awaited(until: deadline)
    awaited.insert(.publisher(id))
    for segment in stream.segments {
      segments[segment]?.isForeign = true
      segments[segment]?.sealedSlots = nil
      if mappingsGone { segments[segment]?.mappings[.publisher(id)] = nil }
    }
  }

  /// A subscription reads on. It tells its cursors and segments next, then ``subscriptionReturned(_:contents:now:)``.
  ///
  /// - Parameter joined: when that was.
  public mutating func returnSubscription(
    _ id: SubscriptionID, client: ClientID, pattern: TopicPattern, readable: TopicFilter = .all, observes: Bool,
    wantsRetained: Bool, backlog: BacklogLimit, joined: UInt64 = 0, now: UInt64
  ) throws(ReturnRefusal) {
    guard subscriptions[id].map({ $0.isAwaited }) ?? true else { throw .notTheirs }
    var record =
      subscriptions[id]
      ?? SubscriptionRecord(
        id: id, client: client, pattern: pattern, readable: readable, observes: observes,
        wantsRetained: wantsRetained, limit: backlog, joined: now)
    record.client = client
    record.pattern = pattern
    record.readable = readable
    record.observes = observes
    record.wantsRetained = wantsRetained
    record.limit = backlog
    record.joined = min(joined, now)
    record.absence = .returning
    record.hasReturned = true
    subscriptions[id] = record
    awaited.remove(.subscription(id))
    for stream in streams.values where record.matches(stream.topic) { list(id, on: stream.id) }
  }

  /// Where a returning subscription stands in a stream. A stream that nobody else knows yet is awaited.
  public mutating func returnCursor(
    _ id: SubscriptionID, stream: StreamID, topic: TopicName, nextSequence: UInt64, awaitedUntil deadline: UInt64,
    now: UInt64
  ) throws(ReturnRefusal) {
    guard let subscription = subscriptions[id], subscription.absence == .returning else { throw .notTheirs }
    guard subscription.matches(topic), streams[stream].map({ $0.topic == topic }) ?? true else {
      throw .contradiction
    }
    if streams[stream] == nil {
      guard awaited.count < Self.maximumAwaited else { throw .tooMuch }
      addAway(stream, topic: topic, now: now)
      streams[stream]?.absence = .awaited(until: deadline)
      awaited.insert(.publisher(stream))
    }
    subscriptions[id]?.positions[stream] = nextSequence
  }

  private mutating func addAway(_ id: StreamID, topic: TopicName, now: UInt64) {
    if topics[topic] == nil { topics[topic] = TopicRecord(name: topic, quota: quota(of: topic)) }
    topics[topic]?.streams.insert(id)
    var stream = StreamRecord(
      id: id, client: .nobody, user: .nobody, topic: topic, whenFull: .wait(timeout: nil), opened: 0)
    stream.absence = .returning
    // Its publisher names those who are unknown yet.
    stream.subscriptions = subscriptions.values.filter { !$0.hasLeft && $0.mayMatch(topic) && $0.id != .anybody }
      .map(\.id).sorted()
    streams[id] = stream
    addToUser(stream, limit: .none)
  }

  private mutating func list(_ subscription: SubscriptionID, on stream: StreamID) {
    guard let listed = streams[stream]?.subscriptions, !listed.contains(subscription) else { return }
    streams[stream]?.subscriptions = (listed + [subscription]).sorted()
  }

  // MARK: - What they have

  /// A publisher has the segment mapped for writing.
  ///
  /// - Parameter sealedSlots: how many messages it holds if it is complete; nil while it is written.
  public mutating func adopt(
    _ identity: SegmentIdentity, capacity: UInt64, writtenBy stream: StreamID, sealedSlots: UInt32?, now: UInt64
  ) throws(ReturnRefusal) -> [LedgerAction] {
    guard streams[stream]?.absence == .returning else { throw .notTheirs }
    try book(identity, capacity: capacity, of: stream, now: now)
    guard let segment = segments[identity.id], segment.state == .leased, segment.mappings[.publisher(stream)] == nil
    else { throw .notTheirs }
    // Whose segment it is knows which of its lives this is. Who speaks of another one has it only mapped.
    if segment.epoch != identity.epoch { begin(identity) }
    segments[identity.id]?.isForeign = false
    segments[identity.id]?.sealedSlots = sealedSlots
    addMapping(identity.id, .publisher(stream), now: now)
    return settle([], now: now)
  }

  /// A subscription has the segment mapped.
  ///
  /// - Parameters:
  ///   - progress: nil if it has not looked at this life yet.
  ///   - slots: how many messages it holds now.
  public mutating func adopt(
    _ identity: SegmentIdentity, capacity: UInt64, of stream: StreamID, readBy id: SubscriptionID,
    _ progress: ReadingProgress?, slots: UInt32, now: UInt64
  ) throws(ReturnRefusal) -> [LedgerAction] {
    guard let subscription = subscriptions[id], subscription.absence == .returning else { throw .notTheirs }
    guard let topic = streams[stream]?.topic, subscription.matches(topic), !subscription.observes else {
      throw .contradiction
    }
    try book(identity, capacity: capacity, of: stream, now: now)
    guard let segment = segments[identity.id], segment.mappings[.subscription(id)] == nil else { throw .contradiction }
    addMapping(identity.id, .subscription(id), now: now)
    if identity.epoch > segment.epoch, segment.mappings[.publisher(stream)] == nil, segment.state == .leased {
      begin(identity)
    }
    var actions: [LedgerAction] = []
    if let progress, segments[identity.id]?.epoch == identity.epoch { take(identity.id, by: id, progress, now: now) }
    // It came late: all others were asked to let it go already.
    if segments[identity.id]?.state == .pinned { actions.append(.forget(identity.id, .subscription(id))) }
    if !isAway(stream), segments[identity.id]?.isForeign == true {
      end(identity.id, slots: slots, now: now, &actions)
    } else {
      reclaimIfReleased(identity.id, now: now, &actions)
    }
    return settle(actions, now: now)
  }

  /// Notes how far a subscription is with a segment, as if it had been handed it here.
  private mutating func take(
    _ id: SegmentID, by subscription: SubscriptionID, _ progress: ReadingProgress, now: UInt64
  ) {
    guard let segment = segments[id] else { return }
    guard progress != .released else {
      // Here ends what it was kept for.
      if segment.promises[subscription] != nil { void(id, for: subscription) }
      return
    }
    // Taken back meanwhile, as it came late; its memory was not written anew, and so it may still read it.
    if segment.state == .pinned { restore(id, now: now) }
    promise(id, to: subscription, now: now)
    subscriptions[subscription]?.waiting[segment.stream]?.removeAll { $0 == id }
    segments[id]?.handed.insert(subscription)
    if progress == .passed {
      subscriptions[subscription]?.passed.insert(id)
    } else {
      subscriptions[subscription]?.unread[segment.stream, default: []].append(id)
      subscriptions[subscription]?.unreadBytes += segment.capacity
    }
  }

  private mutating func restore(_ id: SegmentID, now: UInt64) {
    guard let segment = segments[id] else { return }
    move(id, to: .sealed, now: now)
    topics[segment.topic]?.sealed.insert(id, at: 0)
  }

  /// The memory of a segment that its publisher does not offer is in this life by now.
  public mutating func followPublisher(to identity: SegmentIdentity) {
    guard let segment = segments[identity.id], segment.isForeign, segment.state == .leased,
      segment.epoch < identity.epoch
    else { return }
    begin(identity)
  }

  /// Another life of an adopted segment than was said before.
  private mutating func begin(_ identity: SegmentIdentity) {
    for subscription in (segments[identity.id]?.promises.keys).map({ $0.sorted() }) ?? [] {
      void(identity.id, for: subscription)
    }
    segments[identity.id]?.epoch = identity.epoch
  }

  /// Takes a segment onto the books unless it is there. It is of the pool whether or not there is room for it: what the
  /// contribution lacks is added to it, and taken away again as memory comes back.
  private mutating func book(
    _ identity: SegmentIdentity, capacity: UInt64, of stream: StreamID, now: UInt64
  ) throws(ReturnRefusal) {
    guard let topic = streams[stream]?.topic else { throw .contradiction }
    if let known = segments[identity.id] {
      guard known.isAdopted, known.stream == stream, known.capacity == capacity else { throw .contradiction }
      return
    }
    let lacking = capacity > usage.free ? capacity - usage.free : 0
    // So that nobody can make the books of a pool arbitrarily large.
    guard lacking <= contribution - min(beyond, contribution) else { throw .tooMuch }
    beyond += lacking
    usage.free = usage.free &+ lacking &- capacity
    usage.leased &+= capacity
    var segment = SegmentRecord(
      id: identity.id, epoch: identity.epoch, capacity: capacity, stream: stream, topic: topic, leasedAt: now,
      lease: nextEvent(), stateSince: now)
    segment.isReady = true
    segment.isAdopted = true
    segment.isForeign = true
    segments[identity.id] = segment
    note(segment, from: nil, to: .leased)
    streams[stream]?.segments.append(identity.id)
    countForUser(segment)
    if let user = streams[stream]?.user { noteAdopted(by: user) }
    guard var record = topics[topic] else { return }
    record.bytes += capacity
    record.adoptedCeiling = max(record.adoptedCeiling, record.bytes)
    topics[topic] = record
  }

  /// Memory has come back: first it pays for what was adopted beyond the contribution.
  mutating func payBack() {
    let paid = min(beyond, usage.free)
    beyond -= paid
    usage.free &-= paid
  }
}

extension ClientID {
  /// Of what is awaited: no client has this number.
  public static let nobody = ClientID(rawValue: 0)
}

extension StreamRecord {
  var isAwaited: Bool { if case .awaited = absence { true } else { false } }
}

extension SubscriptionRecord {
  var isAwaited: Bool { if case .awaited = absence { true } else { false } }

  /// One that is awaited may match anything: its pattern comes with it.
  func mayMatch(_ topic: TopicName) -> Bool { isAwaited || matches(topic) }
}
