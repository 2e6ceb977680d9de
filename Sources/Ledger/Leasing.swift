import Vocabulary

// Memory for publishers: warm, free, or taken from what nobody needs; and what happens when there is none.

extension Ledger {
  /// A publisher wants a segment.
  ///
  /// - Parameters:
  ///   - id: the node's number for the request, never used before.
  ///   - isAhead: it is not needed yet. Nothing is evicted for it and it does not wait, whatever the publisher's policy.
  public mutating func requestLease(
    _ id: UInt64, stream: StreamID, capacity: UInt64, isAhead: Bool = false, now: UInt64
  ) -> [LedgerAction] {
    guard let record = streams[stream], !record.isClosed, capacity > 0 else { return [] }
    let limit = quota(of: record.topic)
    guard capacity <= limit else { return [.refuse(lease: id, .tooLarge(limit: limit))] }
    let policy = isAhead ? .fail : record.whenFull
    var deadline: UInt64?
    if case .wait(let timeout?) = policy { deadline = now.saturatingAdd(timeout.saturatingNanoseconds) }
    waiting.append(
      WaitingLease(
        id: id, stream: stream, topic: record.topic, capacity: capacity, policy: policy, deadline: deadline))
    return settle([], now: now)
  }

  /// The publisher gives a lease up. One that still waits is refused, so that every request is answered, once.
  public mutating func cancelLease(_ id: UInt64, now: UInt64) -> [LedgerAction] {
    guard let index = waiting.firstIndex(where: { $0.id == id }) else { return [] }
    waiting.remove(at: index)
    return settle([.refuse(lease: id, .cancelled)], now: now)
  }

  /// The machine had no memory for a segment that was to be made.
  public mutating func creationFailed(_ id: SegmentID, lease: UInt64, now: UInt64) -> [LedgerAction] {
    guard let segment = segments[id], segment.state == .leased, !segment.isReady else { return [] }
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
  /// A lease that its topic's quota keeps back keeps nobody else back; one that lacks memory of the pool is served before
  /// those behind it, lest a large one starve.
  mutating func settle(_ decided: [LedgerAction], now: UInt64) -> [LedgerAction] {
    var actions = decided
    clock = max(clock, now)
    refuseIfOutOfBalance(&actions)
    var index = 0
    while index < waiting.count {
      let lease = waiting[index]
      switch serve(lease, now: now, &actions) {
      case .served:
        waiting.remove(at: index)
      case .awaitsQuota:
        waiting[index].hasAsked = true
        index += 1
      case .awaitsPool:
        waiting[index].hasAsked = true
        index = waiting.count
      }
    }
    return actions
  }

  private enum Outcome { case served, awaitsQuota, awaitsPool }

  private mutating func serve(_ lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) -> Outcome {
    if let segment = bestWarm(for: lease) {
      regrant(segment, for: lease, now: now, &actions)
      return .served
    }
    if room(for: lease).shortage == 0 {
      create(for: lease, now: now, &actions)
      return .served
    }
    takeUnneeded(for: lease, now: now, &actions)
    // Taking back what nobody maps gives room at once.
    if room(for: lease).shortage == 0 {
      create(for: lease, now: now, &actions)
      return .served
    }
    let isQuota = room(for: lease).isQuota
    if comingBack(for: lease, now: now) >= room(for: lease).shortage { return isQuota ? .awaitsQuota : .awaitsPool }

    switch lease.policy {
    case .evictOldest:
      if evictOldest(for: lease, now: now, &actions) {
        guard room(for: lease).shortage == 0 else { return isQuota ? .awaitsQuota : .awaitsPool }
        create(for: lease, now: now, &actions)
        return .served
      }
      refuse(lease, now: now, &actions)
      return .served
    case .fail:
      refuse(lease, now: now, &actions)
      return .served
    case .wait:
      if let deadline = lease.deadline, deadline <= now {
        refuse(lease, now: now, &actions)
        return .served
      }
      if !lease.hasAsked { askBack(&actions) }
      return isQuota ? .awaitsQuota : .awaitsPool
    }
  }

  /// How many bytes are missing, of the pool or of the topic's quota; the quota's shortage is named if both are short,
  /// as only its own topic can mend that.
  func room(for lease: WaitingLease) -> (shortage: UInt64, isQuota: Bool) {
    let held = topics[lease.topic]?.bytes ?? 0
    let limit = quota(of: lease.topic)
    if limit < contribution, held + lease.capacity > limit { return (held + lease.capacity - limit, true) }
    return (lease.capacity > usage.free ? lease.capacity - usage.free : 0, false)
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
    segments[id]?.isAskedBack = false
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

  private mutating func create(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) {
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

  private mutating func refuse(_ lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) {
    actions.append(.refuse(lease: lease.id, .poolExhausted(exhaustedReport(for: lease))))
  }
}
