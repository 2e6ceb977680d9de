import Vocabulary

// Memory for publishers: warm, free, or taken from what nobody needs; and what happens when there is none.

extension Ledger {
  /// A publisher wants a segment.
  ///
  /// - Parameters:
  ///   - id: the node's number for the request, never used before.
  ///   - minimum: bytes that will do while memory is short, or never enough; the segment then has a multiple of them. Nil
  ///     for `capacity`.
  ///   - isAhead: it is not needed yet. Nothing is evicted for it and it does not wait, whatever the publisher's policy.
  public mutating func requestLease(
    _ id: UInt64, stream: StreamID, capacity: UInt64, minimum: UInt64? = nil, isAhead: Bool = false, now: UInt64
  ) -> [LedgerAction] {
    guard let record = streams[stream], !record.isClosed, capacity > 0 else { return [] }
    let limit = mostBytes(of: record)
    let minimum = isAhead ? capacity : max(min(minimum ?? capacity, capacity), 1)
    guard minimum <= limit else { return [.refuse(lease: id, .tooLarge(limit: limit))] }
    let policy = isAhead ? .fail : record.whenFull
    var deadline: UInt64?
    if case .wait(let timeout?) = policy { deadline = now.addingClamped(timeout.wholeNanoseconds) }
    waiting.append(
      WaitingLease(
        id: id, stream: stream, topic: record.topic,
        // A publisher that comes from a larger node's pool does not know this one's size.
        capacity: capacity <= limit ? capacity : limit / minimum * minimum, minimum: minimum, isAhead: isAhead,
        policy: policy, deadline: deadline))
    return settle([], now: now)
  }

  /// The publisher gives a lease up. One that still waits is refused, so that every request is answered, once.
  public mutating func cancelLease(_ id: UInt64, now: UInt64) -> [LedgerAction] {
    guard let index = waiting.firstIndex(where: { $0.id == id }) else { return [] }
    waiting.remove(at: index)
    return settle([.refuse(lease: id, .cancelled)], now: now)
  }

  /// The publishers of these streams are about to close, and nobody waits for their answers. Those behind them are served with
  /// the next event.
  ///
  /// - Returns: the leases that waited.
  public mutating func dropLeases(of streams: Set<StreamID>) -> [UInt64] {
    let dropped = waiting.filter { streams.contains($0.stream) }.map(\.id)
    if !dropped.isEmpty { waiting.removeAll { streams.contains($0.stream) } }
    return dropped
  }

  /// The machine had no memory for a segment that was to be made.
  public mutating func creationFailed(_ id: SegmentID, lease: UInt64, now: UInt64) -> [LedgerAction] {
    guard let segment = segments[id] else { return [] }
    // Its stream was closed meanwhile, and its publisher never gets to map it.
    if segment.state == .pinned { return unmapped(id, by: .publisher(segment.stream), now: now) }
    guard segment.state == .leased, !segment.isReady else { return [] }
    for subscription in segment.promises.keys.sorted() { void(id, for: subscription) }
    var actions: [LedgerAction] = [.refuse(lease: lease, .outOfMemory), .destroy(id)]
    remove(id)
    for subscription in segment.promises.keys.sorted() {
      handNext(segment.stream, to: subscription, now: now, &actions)
    }
    return settle(actions, now: now)
  }

  /// The segments that a publisher has not sealed, in the order of their leases.
  public func unsealedSegments(of stream: StreamID) -> [SegmentIdentity] {
    (streams[stream]?.segments ?? []).compactMap { id in
      segments[id].flatMap { $0.state == .leased ? $0.identity : nil }
    }
  }

  // MARK: - Serving those who wait

  /// Serves the leases that wait, in order, after every event: each event may have given memory back, or time.
  ///
  /// A lease that lacks memory is served before those behind it that want it of the same pool or quota, lest a large one
  /// starve; nobody else is kept back. Of those, who does not wait, or not any longer, is told so at once, and who evicts
  /// is served with its own topic's memory.
  mutating func settle(_ decided: [LedgerAction], now: UInt64) -> [LedgerAction] {
    var actions = decided
    clock = max(clock, now)
    refuseIfOutOfBalance(&actions)
    completeTrades(now: now, &actions)
    var index = 0
    var awaited: Set<Room.Bound> = []
    // Topics whose own memory is spoken for: of thousands that wait not each looks through it after every event.
    var traded: [Room.Bound: Set<TopicName>] = [:]
    // Who holds what is short, to be told to all that are refused.
    var shares: [Room.Bound: [ExhaustedReport.Share]] = [:]
    while index < waiting.count {
      let lease = waiting[index]
      if let bound = bounds(of: lease).first(where: awaited.contains) {
        if isOver(lease, now: now) {
          refuse(lease, for: bound, &shares, &actions)
          waiting.remove(at: index)
          continue
        }
        if case .evictOldest = lease.policy, traded[bound]?.contains(lease.topic) != true {
          if trade(at: index, within: bound, now: now, &actions) {
            waiting.remove(at: index)
            continue
          }
          traded[bound, default: []].insert(lease.topic)
        }
        index += 1
        continue
      }
      switch serve(at: index, now: now, &shares, &actions) {
      case .served:
        waiting.remove(at: index)
      case .awaits(let bound):
        waiting[index].bound = bound
        awaited.insert(bound)
        index += 1
      }
    }
    return actions
  }

  /// Whether a lease that is not to be had now is refused by its policy.
  private func isOver(_ lease: WaitingLease, now: UInt64) -> Bool {
    if case .fail = lease.policy { return true }
    return lease.deadline.map { $0 <= now } ?? false
  }

  private enum Outcome {
    case served
    case awaits(Room.Bound)
  }

  private mutating func serve(
    at index: Int, now: UInt64, _ shares: inout [Room.Bound: [ExhaustedReport.Share]], _ actions: inout [LedgerAction]
  ) -> Outcome {
    let lease = waiting[index]
    if let segment = bestWarm(for: lease) {
      regrant(segment, for: lease, now: now, &actions)
      return .served
    }
    if room(for: lease).isEnough {
      create(for: lease, now: now, &actions)
      return .served
    }
    takeUnneeded(for: lease, now: now, &actions)
    let room = room(for: lease)
    // Taking back what nobody maps gives room at once.
    if room.isEnough {
      create(for: lease, now: now, &actions)
      return .served
    }
    if !isShort(room, now: now) { return .awaits(room.bound) }
    // Rather a small segment than none, or one that is taken from who has not read it: a message that fits is neither
    // refused nor kept waiting.
    if let capacity = smallerCapacity(for: lease) {
      var small = lease
      small.capacity = capacity
      create(for: small, now: now, &actions)
      return .served
    }

    switch lease.policy {
    case .evictOldest:
      if evictOldest(for: lease, now: now, &actions) {
        guard self.room(for: lease).isEnough else { return .awaits(room.bound) }
        create(for: lease, now: now, &actions)
        return .served
      }
      refuse(lease, for: self.room(for: lease).bound, &shares, &actions)
      return .served
    case .fail:
      refuse(lease, for: room.bound, &shares, &actions)
      return .served
    case .wait:
      if let deadline = lease.deadline, deadline <= now {
        refuse(lease, for: room.bound, &shares, &actions)
        return .served
      }
      if lease.asked != room.bound {
        waiting[index].asked = room.bound
        askBack(towards: room.bound, &actions)
      }
      return .awaits(room.bound)
    }
  }

  /// As many bytes as there are, if they will do.
  private func smallerCapacity(for lease: WaitingLease) -> UInt64? {
    let shortage = room(for: lease)
    guard shortage.segments == 0, shortage.bytes < lease.capacity else { return nil }
    var small = lease
    small.capacity = min(lease.capacity - shortage.bytes, usage.free) / lease.minimum * lease.minimum
    return small.capacity > 0 && room(for: small).isEnough ? small.capacity : nil
  }

  /// Whether a segment that its publisher has mapped will do for a lease: not so small, and not so large that most of it
  /// lies idle.
  func fits(_ segment: SegmentRecord, _ lease: WaitingLease) -> Bool {
    segment.stream == lease.stream && segment.capacity >= lease.capacity && segment.capacity / 4 <= lease.capacity
  }

  private func bestWarm(for lease: WaitingLease) -> SegmentID? {
    (streams[lease.stream]?.warm ?? []).compactMap { segments[$0] }
      .filter { fits($0, lease) }
      // Of several alike the one that was used last, as the caches still have it.
      .min { ($0.capacity, $1.stateSince) < ($1.capacity, $0.stateSince) }?.id
  }

  private mutating func regrant(
    _ id: SegmentID, for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]
  ) {
    guard let segment = segments[id] else { return }
    move(id, to: .leased, now: now)
    segments[id]?.epoch = segment.epoch + 1
    segments[id]?.slots = 0
    segments[id]?.isReady = false
    segments[id]?.leasedAt = now
    let event = nextEvent()
    segments[id]?.lease = event
    segments[id]?.completion = nil
    // The order of a stream's segments is the order of their leases.
    streams[lease.stream]?.segments.removeAll { $0 == id }
    streams[lease.stream]?.segments.append(id)
    counters.segmentsLeased += 1
    counters.segmentsRecycled += 1
    promiseToAll(id, now: now)
    actions.append(
      .regrant(SegmentIdentity(id: id, epoch: segment.epoch + 1), lease: lease.id, stream: lease.stream))
  }

  mutating func create(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) {
    let id = nextSegment()
    var segment = SegmentRecord(
      id: id, capacity: lease.capacity, stream: lease.stream, topic: lease.topic, leasedAt: now, lease: nextEvent(),
      stateSince: now)
    segment.mappings[.publisher(lease.stream)] = now
    segments[id] = segment
    usage.free &-= lease.capacity
    usage.leased &+= lease.capacity
    note(segment, from: nil, to: .leased)
    topics[lease.topic]?.bytes += lease.capacity
    countForUser(segment)
    streams[lease.stream]?.segments.append(id)
    counters.segmentsLeased += 1
    promiseToAll(id, now: now)
    actions.append(.create(id, capacity: lease.capacity, lease: lease.id, stream: lease.stream))
  }

  /// Lease and promise are one step: whoever matches now will see every message of the segment.
  private mutating func promiseToAll(_ id: SegmentID, now: UInt64) {
    guard let stream = segments[id]?.stream else { return }
    for subscription in streams[stream]?.subscriptions ?? [] where subscriptions[subscription]?.observes == false {
      promise(id, to: subscription, now: now)
    }
  }

  /// - Parameter shares: what was found out for others, as it takes a look at all segments. Nobody reads it of a lease ahead.
  private func refuse(
    _ lease: WaitingLease, for bound: Room.Bound, _ shares: inout [Room.Bound: [ExhaustedReport.Share]],
    _ actions: inout [LedgerAction]
  ) {
    if !lease.isAhead, shares[bound] == nil { shares[bound] = largestShares(of: bound) }
    let report = ExhaustedReport(
      asked: lease.capacity, limit: limit(of: bound, for: lease), shares: lease.isAhead ? [] : shares[bound] ?? [])
    actions.append(.refuse(lease: lease.id, .poolExhausted(report)))
  }
}
