import Vocabulary

// Promises, and the segments that go with them.

extension Ledger {
  /// Records that the subscription must release the segment before it may be reclaimed.
  mutating func promise(_ id: SegmentID, to subscription: SubscriptionID, now: UInt64) {
    guard let segment = segments[id], segment.promises[subscription] == nil else { return }
    segments[id]?.promises[subscription] = now
    subscriptions[subscription]?.waiting[segment.stream, default: []].append(id)
    if segment.state != .leased { count(id, inBacklogOf: subscription, by: +1) }
    if segment.state == .retained { move(id, to: .sealed, now: now) }
  }

  /// Hands what waits, in the order of the leases, as far as the window reaches: a subscription that does not read what
  /// it has is not given more to hold.
  ///
  /// Only a segment that was complete before the next one was leased keeps that one back. All of its messages come
  /// before the next one's, so it can be read to its end without it. Of two segments that were open together either may
  /// hold the message that the other's reader needs first.
  mutating func hand(
    _ stream: StreamID, to id: SubscriptionID, now: UInt64, _ actions: inout [LedgerAction]
  ) {
    while let next = subscriptions[id]?.waiting[stream]?.first, let segment = segments[next], segment.isReady,
      mayHold(segment, id)
    {
      subscriptions[id]?.waiting[stream]?.removeFirst()
      subscriptions[id]?.unread[stream, default: []].append(next)
      subscriptions[id]?.unreadBytes += segment.capacity
      let warm = segment.mappings[.subscription(id)] != nil
      segments[next]?.handed.insert(id)
      if !warm { addMapping(next, .subscription(id), now: now) }
      actions.append(.hand(segment.identity, to: id, stream: stream, warm: warm))
      if segment.state != .leased {
        actions.append(.tellSealed(segment.identity, to: id, stream: stream, slots: segment.slots))
      }
    }
  }

  private func mayHold(_ segment: SegmentRecord, _ id: SubscriptionID) -> Bool {
    guard let subscription = subscriptions[id], subscription.absence == nil, !isAway(segment.stream) else {
      return false
    }
    let before = unreadBefore(segment, of: subscription)
    if before == 0 { return true }
    return before < Limits.handedWindow
      && subscription.unreadBytes + segment.capacity <= contribution / Limits.handedShare
  }

  /// How many segments of its stream, complete before it was leased, the subscription has and has not read.
  func unreadBefore(_ segment: SegmentRecord, of subscription: SubscriptionRecord) -> Int {
    subscription.unread[segment.stream, default: []].count { (segments[$0]?.completion ?? .max) < segment.lease }
  }

  /// The subscription has come to the end of a segment that it was handed: the window moves on.
  mutating func moveWindow(past segment: SegmentRecord, of id: SubscriptionID) {
    subscriptions[id]?.unread[segment.stream]?.removeAll { $0 == segment.id }
    subscriptions[id]?.unreadBytes -= segment.capacity
  }

  /// The publisher has mapped the segment, and the node has sealed it against other writers: it may be handed.
  public mutating func segmentReady(_ identity: SegmentIdentity, now: UInt64) -> [LedgerAction] {
    guard let segment = segments[identity.id], segment.epoch == identity.epoch, segment.state == .leased,
      !segment.isReady
    else { return [] }
    var actions: [LedgerAction] = []
    segments[identity.id]?.isReady = true
    for subscription in segment.promises.keys.sorted() {
      hand(segment.stream, to: subscription, now: now, &actions)
    }
    return settle(actions, now: now)
  }

  /// The subscription has moved past the segment, but still borrows from it.
  public mutating func passed(
    _ identity: SegmentIdentity, by id: SubscriptionID, now: UInt64
  ) -> [LedgerAction] {
    guard let segment = segments[identity.id], segment.epoch == identity.epoch, let subscription = subscriptions[id]
    else { return [] }
    if subscription.taken.contains(identity.id) {
      subscriptions[id]?.taken.remove(identity.id)
    } else {
      guard segment.handed.contains(id), !subscription.passed.contains(identity.id) else { return [] }
      subscriptions[id]?.passed.insert(identity.id)
    }
    moveWindow(past: segment, of: id)
    var actions: [LedgerAction] = []
    handNext(segment.stream, to: id, now: now, &actions)
    return settle(actions, now: now)
  }

  /// The subscription has moved past the segment and borrows nothing of it; it may keep it mapped.
  public mutating func release(
    _ identity: SegmentIdentity, by id: SubscriptionID, now: UInt64
  ) -> [LedgerAction] {
    guard let segment = segments[identity.id], segment.epoch == identity.epoch, segment.handed.contains(id) else {
      return []
    }
    var actions: [LedgerAction] = []
    void(identity.id, for: id)
    reclaimIfReleased(identity.id, now: now, &actions)
    handNext(segment.stream, to: id, now: now, &actions)
    return settle(actions, now: now)
  }

  /// Hands on after a promise is gone, and ends the stream for the subscription if that was its last.
  mutating func handNext(
    _ stream: StreamID, to id: SubscriptionID, now: UInt64, _ actions: inout [LedgerAction]
  ) {
    hand(stream, to: id, now: now, &actions)
    endIfOver(stream, for: id, &actions)
  }

  /// The promise is over: released, or taken away.
  ///
  /// - Parameter isTaken: the subscription may not know yet; what it was handed counts until it says something of it.
  mutating func void(_ id: SegmentID, for subscription: SubscriptionID, isTaken: Bool = false) {
    guard let segment = segments[id], segments[id]?.promises.removeValue(forKey: subscription) != nil else { return }
    if segments[id]?.handed.remove(subscription) != nil {
      if subscriptions[subscription]?.passed.remove(id) == nil {
        if isTaken {
          subscriptions[subscription]?.taken.insert(id)
        } else {
          moveWindow(past: segment, of: subscription)
        }
      }
    } else {
      subscriptions[subscription]?.waiting[segment.stream]?.removeAll { $0 == id }
    }
    if segment.state != .leased { count(id, inBacklogOf: subscription, by: -1) }
  }

  /// Counts a complete segment that the subscription has not released.
  mutating func count(_ id: SegmentID, inBacklogOf subscription: SubscriptionID, by sign: Int) {
    guard let segment = segments[id] else { return }
    if sign > 0 {
      subscriptions[subscription]?.backlog.append(id)
      subscriptions[subscription]?.backlogMessages += UInt64(segment.slots)
      subscriptions[subscription]?.backlogBytes += segment.capacity
    } else {
      subscriptions[subscription]?.backlog.removeAll { $0 == id }
      subscriptions[subscription]?.backlogMessages -= UInt64(segment.slots)
      subscriptions[subscription]?.backlogBytes -= segment.capacity
    }
  }

  // MARK: - Mappings

  mutating func addMapping(_ id: SegmentID, _ holder: Holder, now: UInt64) {
    segments[id]?.mappings[holder] = now
    if case .subscription(let subscription) = holder { subscriptions[subscription]?.mappings.insert(id) }
  }

  mutating func dropMapping(_ id: SegmentID, _ holder: Holder) {
    segments[id]?.mappings[holder] = nil
    if case .subscription(let subscription) = holder {
      if let segment = segments[id], subscriptions[subscription]?.taken.remove(id) != nil {
        moveWindow(past: segment, of: subscription)
      }
      subscriptions[subscription]?.mappings.remove(id)
      forgetIfOver(subscription)
    }
  }

  /// A holder has unmapped a segment, asked or not.
  public mutating func unmapped(_ id: SegmentID, by holder: Holder, now: UInt64) -> [LedgerAction] {
    guard let segment = segments[id], segment.mappings[holder] != nil else { return [] }
    var actions: [LedgerAction] = []
    dropMapping(id, holder)
    switch (segment.state, holder) {
    case (.warm, .publisher):
      // Nobody can write it again.
      takeBack(id, now: now, &actions)
    case (.leased, .publisher):
      // It can't write any more, so this is the segment's end; what it had committed is for its seal to say.
      segments[id]?.isForced = true
    case (_, .subscription(let subscription)) where segment.handed.contains(subscription):
      void(id, for: subscription)
      reclaimIfReleased(id, now: now, &actions)
      handNext(segment.stream, to: subscription, now: now, &actions)
    case (_, .subscription(let subscription)):
      handNext(segment.stream, to: subscription, now: now, &actions)
    default: break
    }
    destroyIfUnmapped(id, &actions)
    return settle(actions, now: now)
  }
}
