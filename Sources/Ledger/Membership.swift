import Vocabulary

// Publishers and subscriptions come and go.

extension Ledger {
  /// A publisher opens a stream on a topic.
  ///
  /// - Parameters:
  ///   - retention: what the topic keeps from now on; nil leaves it as it is.
  ///   - user: whose the client is.
  ///   - limit: what bounds all of the user's publishers; it holds as long as the user has any.
  public mutating func openStream(
    _ id: StreamID, client: ClientID, topic: TopicName, whenFull: FullPolicy, retention: Retention?,
    user: UserID = UserID(rawValue: 0), limit: UserLimit = .none, now: UInt64
  ) -> [LedgerAction] {
    guard streams[id] == nil else { return [] }
    var actions: [LedgerAction] = []
    add(
      StreamRecord(id: id, client: client, user: user, topic: topic, whenFull: whenFull, opened: now), limit: limit)
    for subscription in subscriptions.values.sorted(by: { $0.id < $1.id })
    where !subscription.hasLeft && subscription.mayMatch(topic) {
      list(subscription.id, on: id)
      if subscription.absence == nil { actions.append(.introduce(id, to: subscription.id)) }
    }
    set(retention, of: topic, now: now, &actions)
    return settle(actions, now: now)
  }

  mutating func add(_ stream: StreamRecord, limit: UserLimit) {
    let topic = stream.topic
    if topics[topic] == nil { topics[topic] = TopicRecord(name: topic, quota: quota(of: topic)) }
    topics[topic]?.streams.insert(stream.id)
    streams[stream.id] = stream
    addToUser(stream, limit: limit)
  }

  /// A publisher closes, or has died.
  ///
  /// - Parameters:
  ///   - ends: what each of its unsealed segments had committed.
  ///   - mappingsGone: its process has ended. Else it says ``unmapped(_:by:now:)`` for each segment it lets go.
  ///   - beingMade: segments that count as mapped by it for as long as they are being made.
  public mutating func closeStream(
    _ id: StreamID, ends: [SegmentID: LogEnd], mappingsGone: Bool, beingMade: Set<SegmentID> = [], now: UInt64
  ) -> [LedgerAction] {
    guard let stream = streams[id], !stream.isClosed else { return [] }
    var actions: [LedgerAction] = []
    streams[id]?.isClosed = true
    streams[id]?.absence = nil
    awaited.remove(.publisher(id))
    waiting.removeAll { $0.stream == id }
    for segment in stream.segments {
      if mappingsGone, !beingMade.contains(segment) { segments[segment]?.mappings[.publisher(id)] = nil }
      switch segments[segment]?.state {
      case .leased:
        let end = ends[segment] ?? LogEnd(epoch: segments[segment]?.epoch ?? 1, slots: 0)
        complete(segment, end, now: now, &actions)
      case .warm: takeBack(segment, now: now, &actions)
      case .pinned: destroyIfUnmapped(segment, &actions)
      case .sealed:
        // The handles of its last messages may have gone with it: this wakes those who sleep.
        guard let sealed = segments[segment] else { break }
        for subscription in sealed.handed.sorted() {
          actions.append(.tellSealed(sealed.identity, to: subscription, stream: id, slots: sealed.slots))
        }
      case .retained, .none: break
      }
    }
    for subscription in stream.subscriptions.sorted() { handNext(id, to: subscription, now: now, &actions) }
    forgetIfOver(id)
    return settle(actions, now: now)
  }

  /// A subscription joins: it is promised what is being written, and what is retained if it wants that.
  ///
  /// - Parameters:
  ///   - readable: the topics that it may read; of others that the pattern matches it learns nothing.
  ///   - observes: it wants handles only, and is promised nothing.
  public mutating func subscribe(
    _ id: SubscriptionID, client: ClientID, pattern: TopicPattern, readable: TopicFilter = .all, observes: Bool,
    wantsRetained: Bool, backlog: BacklogLimit, now: UInt64
  ) -> [LedgerAction] {
    guard subscriptions[id] == nil else { return [] }
    var actions: [LedgerAction] = []
    let subscription = SubscriptionRecord(
      id: id, client: client, pattern: pattern, readable: readable, observes: observes, wantsRetained: wantsRetained,
      limit: backlog, joined: now)
    subscriptions[id] = subscription
    var windows: [TopicName: Set<SegmentID>] = [:]
    for stream in streams.values.sorted(by: { $0.id < $1.id }) where subscription.matches(stream.topic) {
      list(id, on: stream.id)
      // It joins such a stream when that is back.
      guard stream.absence == nil else { continue }
      let window = wantsRetained ? retentionWindow(of: stream.topic, &windows, now: now) : []
      for segment in stream.segments where !observes {
        guard let state = segments[segment]?.state else { continue }
        if state == .leased || window.contains(segment) { promise(segment, to: id, now: now) }
      }
      actions.append(.introduce(stream.id, to: id))
      hand(stream.id, to: id, now: now, &actions)
      endIfOver(stream.id, for: id, &actions)
    }
    return settle(actions, now: now)
  }

  /// A subscription leaves: what it was promised, nobody awaits from it any more. Unless it has died,
  /// ``unmapped(_:by:now:)`` is said for each segment that it lets go.
  public mutating func unsubscribe(_ id: SubscriptionID, _ departure: Departure, now: UInt64) -> [LedgerAction] {
    guard let subscription = subscriptions[id], !subscription.hasLeft else { return [] }
    var actions: [LedgerAction] = []
    subscriptions[id]?.hasLeft = true
    awaited.remove(.subscription(id))
    var windows: [TopicName: Set<SegmentID>] = [:]
    for stream in subscription.streams.sorted() {
      unlist(id, from: stream)
      for segment in streams[stream]?.segments ?? [] where segments[segment]?.promises[id] != nil {
        // It may read on for a while: then the memory is not written again.
        if departure != .died, segments[segment]?.mayBeRead(by: id) == true { segments[segment]?.isForced = true }
        void(segment, for: id)
        if departure == .died { dropMapping(segment, .subscription(id)) }
        reclaimIfReleased(segment, &windows, now: now, &actions)
      }
    }
    for segment in subscription.mappings.sorted() {
      if departure == .died {
        dropMapping(segment, .subscription(id))
        destroyIfUnmapped(segment, &actions)
      } else {
        if departure == .cutOff { force(segment, now: now, &actions) }
        actions.append(.forget(segment, .subscription(id)))
      }
    }
    forgetIfOver(id)
    return settle(actions, now: now)
  }

  // Each lists the other, so that who leaves visits only what is its own.

  mutating func list(_ subscription: SubscriptionID, on stream: StreamID) {
    streams[stream]?.subscriptions.insert(subscription)
    subscriptions[subscription]?.streams.insert(stream)
  }

  mutating func unlist(_ subscription: SubscriptionID, from stream: StreamID) {
    streams[stream]?.subscriptions.remove(subscription)
    subscriptions[subscription]?.streams.remove(stream)
  }

  /// Its memory is not written again.
  private mutating func force(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
    segments[id]?.isForced = true
    if segments[id]?.state == .warm { takeBack(id, now: now, &actions) }
  }

  // MARK: - Endings

  /// Tells the subscription that nothing more will come of a stream, once its last promised segment is handed.
  mutating func endIfOver(_ stream: StreamID, for id: SubscriptionID, _ actions: inout [LedgerAction]) {
    guard streams[stream]?.isClosed == true, let subscription = subscriptions[id], !subscription.hasLeft,
      subscription.absence == nil,
      subscription.waiting[stream, default: []].isEmpty, !subscription.ended.contains(stream)
    else { return }
    subscriptions[id]?.ended.insert(stream)
    actions.append(.endStream(stream, id))
  }

  /// A closed stream is remembered as long as it has segments; a topic, as long as it has streams.
  mutating func forgetIfOver(_ id: StreamID) {
    guard let stream = streams[id], stream.isClosed, stream.segments.isEmpty else { return }
    forget(stream)
  }

  /// Takes a stream without segments out of the books.
  mutating func forget(_ stream: StreamRecord) {
    let id = stream.id
    streams[id] = nil
    removeFromUser(stream)
    for subscription in stream.subscriptions {
      subscriptions[subscription]?.streams.remove(id)
      if subscriptions[subscription]?.ended.remove(id) != nil, stream.returned != nil {
        subscriptions[subscription]?.past.insert(id)
      }
      subscriptions[subscription]?.unread[id] = nil
      subscriptions[subscription]?.waiting[id] = nil
    }
    topics[stream.topic]?.streams.remove(id)
    if topics[stream.topic]?.streams.isEmpty == true {
      topics[stream.topic] = nil
      aging.remove(stream.topic)
    }
  }

  mutating func forgetIfOver(_ id: SubscriptionID) {
    guard let subscription = subscriptions[id], subscription.hasLeft, subscription.mappings.isEmpty else { return }
    subscriptions[id] = nil
  }
}
