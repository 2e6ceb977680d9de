import Vocabulary

// Segments of the node before are taken over, from whoever has them mapped.

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

extension Ledger {
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

  /// A segment that only readers have offered is not what its publisher says that it is: it is taken off the books.
  ///
  /// - Returns: whether it was such a one.
  public mutating func disown(_ id: SegmentID) -> Bool {
    guard let segment = segments[id], segment.isForeign, segment.state == .leased else { return false }
    for subscription in segment.promises.keys.sorted() { void(id, for: subscription) }
    for holder in segment.mappings.keys.sorted() { dropMapping(id, holder) }
    remove(id)
    return true
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
