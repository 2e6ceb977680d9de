import Vocabulary

// Taking memory: what nobody needs first; what is still promised only if a policy says so, and never silently.

extension Ledger {
  /// Bytes that are on their way back for a lease: taken back so lately that their holders may not have answered yet.
  func comingBack(for lease: WaitingLease, now: UInt64) -> UInt64 {
    let isQuota = room(for: lease).isQuota
    return pinned.reduce(0) { sum, id in
      guard let segment = segments[id], !isQuota || segment.topic == lease.topic,
        segment.stateSince.saturatingAdd(limits.unmapGrace) > now
      else { return sum }
      return sum + segment.capacity
    }
  }

  private func isShort(for lease: WaitingLease, now: UInt64) -> Bool {
    room(for: lease).shortage > comingBack(for: lease, now: now)
  }

  /// Takes warm segments, least recently used first, then retained ones, oldest first, as many as the lease needs.
  mutating func takeUnneeded(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) {
    for id in warm + retained {
      guard isShort(for: lease, now: now) else { return }
      guard let segment = segments[id] else { continue }
      guard !room(for: lease).isQuota || segment.topic == lease.topic else { continue }
      takeBack(id, now: now, &actions)
    }
  }

  /// Takes the lease's own topic's oldest complete segments, though they are promised: who had not read them lags.
  ///
  /// - Returns: false if there is nothing to take and nothing on its way back.
  mutating func evictOldest(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) -> Bool {
    for id in topics[lease.topic]?.sealed ?? [] {
      guard isShort(for: lease, now: now) else { return true }
      evict(id, now: now, &actions)
    }
    return !isShort(for: lease, now: now)
  }

  private mutating func evict(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
    guard let segment = segments[id] else { return }
    let promised = segment.promises.keys.sorted()
    for subscription in promised { lag(subscription, on: id, &actions) }
    takeBack(id, now: now, &actions)
    for subscription in promised { handNext(segment.stream, to: subscription, now: now, &actions) }
  }

  /// The subscription loses what it had not read of the segment, and is told.
  private mutating func lag(_ subscription: SubscriptionID, on id: SegmentID, _ actions: inout [LedgerAction]) {
    guard let segment = segments[id] else { return }
    actions.append(.lag(segment.identity, of: subscription, stream: segment.stream))
    // It may be reading right now: the memory must not become another message.
    if segment.handed.contains(subscription) { segments[id]?.isForced = true }
    void(id, for: subscription, isTaken: true)
  }

  /// Takes from a subscription beyond its backlog limit what is oldest; the newest segment is left to it.
  mutating func enforceBacklog(of id: SubscriptionID, now: UInt64, _ actions: inout [LedgerAction]) {
    while let subscription = subscriptions[id], subscription.absence == nil, subscription.isBeyondLimit,
      subscription.backlog.count > 1,
      let oldest = subscription.backlog.first, let segment = segments[oldest]
    {
      lag(id, on: oldest, &actions)
      if segment.handed.contains(id) { actions.append(.forget(oldest, .subscription(id))) }
      reclaimIfReleased(oldest, now: now, &actions)
      handNext(segment.stream, to: id, now: now, &actions)
    }
  }

  /// Asks publishers for what they have leased ahead of need.
  mutating func askBack(_ actions: inout [LedgerAction]) {
    for stream in streams.values.sorted(by: { $0.id < $1.id }) where !stream.isClosed {
      let unsealed = stream.segments.filter { segments[$0]?.state == .leased }
      guard unsealed.count > 1, let newest = unsealed.last, let segment = segments[newest],
        segment.isReady, !segment.isAskedBack
      else { continue }
      segments[newest]?.isAskedBack = true
      actions.append(.askBack(segment.identity, stream: stream.id))
    }
  }

  /// What a refused publisher is told: who holds the memory it lacks.
  func exhaustedReport(for lease: WaitingLease) -> ExhaustedReport {
    let isQuota = room(for: lease).isQuota
    let wanted = isQuota ? topics[lease.topic]?.streams ?? [] : Set(streams.keys)
    let shares = wanted.compactMap { id -> ExhaustedReport.Share? in
      guard let stream = streams[id], !stream.segments.isEmpty else { return nil }
      let held = stream.segments.compactMap { segments[$0] }
      var awaited: [SubscriptionID: UInt64] = [:]
      for segment in held where segment.state == .sealed {
        for subscription in segment.promises.keys { awaited[subscription, default: 0] += segment.capacity }
      }
      return ExhaustedReport.Share(
        topic: stream.topic, stream: id, bytes: held.reduce(0) { $0 + $1.capacity },
        awaited: awaited.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key),
        since: held.map(\.leasedAt).min() ?? 0)
    }
    return ExhaustedReport(
      asked: lease.capacity, limit: isQuota ? quota(of: lease.topic) : contribution,
      quotaOf: isQuota ? lease.topic : nil,
      shares: Array(shares.sorted { ($1.bytes, $0.stream) < ($0.bytes, $1.stream) }.prefix(3)))
  }
}

extension SubscriptionRecord {
  fileprivate var isBeyondLimit: Bool {
    limit.messages.map { backlogMessages > $0 } ?? false || limit.bytes.map { backlogBytes > $0 } ?? false
  }
}
