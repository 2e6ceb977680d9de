import Vocabulary

// Taking memory: what nobody needs first; what is still promised only if a policy says so, and never silently.

extension Ledger {
  /// Whether a segment is on its way back: taken so lately that its holders may not have answered yet.
  func isComing(_ segment: SegmentRecord, now: UInt64) -> Bool {
    segment.state == .pinned && segment.stateSince.addingClamped(Limits.unmapGrace) > now
  }

  /// Whether more is lacking than is on its way back.
  func isShort(_ room: Room, now: UInt64) -> Bool {
    if room.isEnough { return false }
    var (bytes, segmentCount): (UInt64, UInt64) = (0, 0)
    for id in pinned {
      guard let segment = segments[id], counts(segment.stream, towards: room.bound), isComing(segment, now: now) else {
        continue
      }
      bytes += segment.capacity
      segmentCount += 1
    }
    return room.bytes > bytes || room.segments > segmentCount
  }

  /// Takes warm segments, least recently used first, then retained ones, oldest first, as many as the lease needs.
  mutating func takeUnneeded(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) {
    take(for: lease, from: { $0.warm + $0.retained }, now: now) { ledger, id in
      ledger.takeBack(id, now: now, &actions)
    }
  }

  /// Takes the lease's own topic's oldest complete segments, though they are promised: who had not read them lags.
  ///
  /// - Returns: false if there is nothing to take and nothing on its way back.
  mutating func evictOldest(for lease: WaitingLease, now: UInt64, _ actions: inout [LedgerAction]) -> Bool {
    take(for: lease, from: { $0.topics[lease.topic]?.sealed ?? [] }, now: now) { ledger, id in
      ledger.evict(id, now: now, &actions)
    }
    return !isShort(room(for: lease), now: now)
  }

  /// Takes what helps the lease, one segment after the other, until it is not short any more.
  ///
  /// When one bound is kept, another may be short: then what did not help before may help now.
  private mutating func take(
    for lease: WaitingLease, from candidates: (Ledger) -> [SegmentID], now: UInt64,
    _ take: (inout Ledger, SegmentID) -> Void
  ) {
    var room = room(for: lease)
    while isShort(room, now: now) {
      let bound = room.bound
      for id in candidates(self) {
        guard let segment = segments[id], counts(segment.stream, towards: room.bound) else { continue }
        take(&self, id)
        room = self.room(for: lease)
        guard isShort(room, now: now) else { return }
      }
      if room.bound == bound { return }
    }
  }

  mutating func evict(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
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
    if segment.mayBeRead(by: subscription) { segments[id]?.isForced = true }
    void(id, for: subscription, isTaken: true)
  }

  /// Takes from a subscription beyond its backlog limit what is oldest; the newest segment is left to it.
  mutating func enforceBacklog(of id: SubscriptionID, now: UInt64, _ actions: inout [LedgerAction]) {
    while let subscription = subscriptions[id], subscription.absence == nil, subscription.isBeyondLimit,
      subscription.backlog.count > 1,
      let oldest = subscription.backlog.first, let segment = segments[oldest]
    {
      lag(id, on: oldest, &actions)
      if segment.mayBeRead(by: id) { actions.append(.forget(oldest, .subscription(id))) }
      reclaimIfReleased(oldest, now: now, &actions)
      handNext(segment.stream, to: id, now: now, &actions)
    }
  }

  /// Asks the publishers that it helps to seal what they have leased: what is read of it then comes back.
  func askBack(towards bound: Room.Bound, _ actions: inout [LedgerAction]) {
    for stream in streams.values.sorted(by: { $0.id < $1.id }) where counts(stream.id, towards: bound) {
      guard !stream.isClosed, stream.segments.contains(where: { segments[$0]?.state == .leased }) else { continue }
      actions.append(.askBack(stream.id))
    }
  }

  /// What a refused publisher is told: what is used up.
  func limit(of bound: Room.Bound, for lease: WaitingLease) -> ExhaustedReport.Limit {
    switch bound {
    case .pool: return .pool(bytes: contribution)
    case .topic(let topic): return .topic(topic, bytes: quota(of: topic))
    case .user(let user):
      let bounds = users[user]?.limit ?? .none
      if room(for: lease).bytes == 0, let count = bounds.segments { return .segments(of: user, count: count) }
      return .user(user, bytes: bounds.bytes ?? 0)
    }
  }

  /// And who holds it: those who hold most.
  func largestShares(of bound: Room.Bound) -> [ExhaustedReport.Share] {
    let wanted =
      switch bound {
      case .pool: Set(streams.keys)
      case .topic(let topic): topics[topic]?.streams ?? []
      case .user(let user): users[user]?.streams ?? []
      }
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
    return Array(shares.sorted { ($1.bytes, $0.stream) < ($0.bytes, $1.stream) }.prefix(3))
  }
}

extension SubscriptionRecord {
  fileprivate var isBeyondLimit: Bool {
    limit.messages.map { backlogMessages > $0 } ?? false || limit.bytes.map { backlogBytes > $0 } ?? false
  }
}
