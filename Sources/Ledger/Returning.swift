import Vocabulary

// Who is back meets who is back; who does not return in time is given up.

extension Ledger {
  // MARK: - They are back

  /// All that the publisher has is here: who is back is promised, and handed, what it has not read; for who is not, it is
  /// kept.
  ///
  /// - Parameter contents: what the segments of the stream hold, as far as they hold anything.
  public mutating func streamReturned(
    _ id: StreamID, contents: [SegmentID: SegmentFilling], now: UInt64
  ) -> [LedgerAction] {
    guard streams[id]?.absence == .returning else { return [] }
    streams[id]?.absence = nil
    streams[id]?.returned = now
    for subscription in streams[id]?.subscriptions ?? [] where isPast(id, for: subscription) {
      unlist(subscription, from: id)
    }
    // In the order in which they were written; what is empty comes last.
    func first(_ segment: SegmentID) -> UInt64 { contents[segment]?.sequences?.lowerBound ?? .max }
    let ordered = (streams[id]?.segments ?? []).sorted { (first($0), $0) < (first($1), $1) }
    streams[id]?.segments = ordered

    var actions: [LedgerAction] = []
    guard let stream = streams[id] else { return [] }
    let listed = stream.subscriptions.sorted()
    for subscription in listed {
      for segment in stream.segments where owes(segment, to: subscription, contents) {
        promise(segment, to: subscription, now: now)
      }
    }
    // Ahead of whatever is handed of it.
    let present = listed.filter { subscriptions[$0]?.absence == nil }
    for subscription in present { actions.append(.introduce(id, to: subscription)) }
    for segment in stream.segments {
      guard let record = segments[segment], record.state == .leased else { continue }
      if let slots = record.sealedSlots {
        complete(segment, LogEnd(epoch: record.epoch, slots: slots), now: now, &actions)
      } else if record.isForeign {
        end(segment, slots: contents[segment]?.slots ?? 0, now: now, &actions)
      }
    }
    for subscription in present { meet(id, subscription, contents, now: now, &actions) }
    return settle(actions, now: now)
  }

  /// All that the subscription has is here.
  ///
  /// - Parameter contents: what the segments of the streams that it matches hold, as far as they hold anything.
  public mutating func subscriptionReturned(
    _ id: SubscriptionID, contents: [SegmentID: SegmentFilling], now: UInt64
  ) -> [LedgerAction] {
    guard let subscription = subscriptions[id], subscription.absence == .returning else { return [] }
    subscriptions[id]?.absence = nil
    var actions: [LedgerAction] = []
    for stream in subscription.streams.sorted().compactMap({ streams[$0] }) {
      if !subscription.matches(stream.topic) || isPast(stream.id, for: id) {
        // It was kept for whatever it might want.
        unlist(id, from: stream.id)
        for segment in stream.segments where segments[segment]?.promises[id] != nil {
          void(segment, for: id)
          reclaimIfReleased(segment, now: now, &actions)
        }
      } else if stream.absence == nil {
        actions.append(.introduce(stream.id, to: id))
        meet(stream.id, id, contents, now: now, &actions)
      }
    }
    enforceBacklog(of: id, now: now, &actions)
    return settle(actions, now: now)
  }

  /// A segment that its publisher, which is back, does not have, or whose publisher is gone, is written no more.
  mutating func end(_ id: SegmentID, slots: UInt32, now: UInt64, _ actions: inout [LedgerAction]) {
    segments[id]?.isForeign = false
    guard let segment = segments[id] else { return }
    complete(id, LogEnd(epoch: segment.epoch, slots: slots), now: now, &actions)
  }

  /// Whether a stream whose publisher does not come back is nothing to a subscription that has: that does not know it, or
  /// has read it to its end.
  func isPast(_ stream: StreamID, for id: SubscriptionID) -> Bool {
    guard let record = streams[stream], let reader = subscriptions[id] else { return false }
    return record.absence == nil && record.client == .nobody && reader.absence == nil
      && (reader.past.contains(stream) || reader.hasReturned && reader.positions[stream] == nil)
  }

  /// A stream and a subscription are both back.
  private mutating func meet(
    _ stream: StreamID, _ id: SubscriptionID, _ contents: [SegmentID: SegmentFilling], now: UInt64,
    _ actions: inout [LedgerAction]
  ) {
    for segment in streams[stream]?.segments ?? [] {
      guard let record = segments[segment] else { continue }
      guard !record.handed.contains(id) else {
        // It has it from the node before, and may not know that nothing more comes.
        if record.state != .leased {
          actions.append(.tellSealed(record.identity, to: id, stream: stream, slots: record.slots))
        }
        continue
      }
      if owes(segment, to: id, contents) {
        promise(segment, to: id, now: now)
      } else if record.promises[id] != nil {
        void(segment, for: id)
      }
    }
    for segment in streams[stream]?.segments ?? [] { reclaimIfReleased(segment, now: now, &actions) }
    hand(stream, to: id, now: now, &actions)
    endIfOver(stream, for: id, &actions)
  }

  /// Whether a subscription shall be promised a segment of a stream that is back.
  private func owes(
    _ id: SegmentID, to subscription: SubscriptionID, _ contents: [SegmentID: SegmentFilling]
  ) -> Bool {
    guard let segment = segments[id], let reader = subscriptions[subscription], !reader.observes else { return false }
    switch segment.state {
    case .warm, .pinned: return false
    // What it will not need, its return shows.
    case .leased, .sealed, .retained: if reader.absence != nil { return segment.state != .retained }
    }
    if segment.state == .leased, segment.sealedSlots == nil, !segment.isForeign { return true }
    if let position = position(of: reader.id, in: segment.stream) {
      return (contents[id]?.sequences?.upperBound ?? 0) >= position
    }
    // One that joined while the stream was away is given what was published since then.
    if let published = contents[id]?.lastPublished, published >= reader.joined { return true }
    return reader.wantsRetained && segment.state != .leased
      && retentionWindow(of: segment.topic, now: clock).contains(id)
  }

  /// Where a subscription that has returned stood in a stream: at the beginning, if that was opened later. Nil if it
  /// stood nowhere.
  public func position(of subscription: SubscriptionID, in stream: StreamID) -> UInt64? {
    guard let reader = subscriptions[subscription] else { return nil }
    if let position = reader.positions[stream] { return position }
    guard reader.hasReturned, let opened = streams[stream]?.opened, opened >= reader.joined else { return nil }
    return 1
  }

  /// Whether a stream is kept for subscriptions that are awaited and that its publisher does not know.
  public func isKeptForAwaited(_ stream: StreamID) -> Bool {
    guard !awaited.isEmpty, let record = streams[stream], record.absence == nil else { return false }
    return record.subscriptions.contains { id in
      subscriptions[id]?.isAwaited == true && (id == .anybody || record.returned == nil)
    }
  }

  /// When a subscription joined, if the stream was away then: it is given what was published since.
  public func joinInAbsence(of stream: StreamID, _ subscription: SubscriptionID) -> UInt64? {
    guard let reader = subscriptions[subscription], let returned = streams[stream]?.returned, reader.joined <= returned
    else { return nil }
    return reader.joined
  }

  /// Whether a subscription had heard of a stream before it returned.
  public func knew(_ stream: StreamID, _ subscription: SubscriptionID) -> Bool {
    subscriptions[subscription]?.positions[stream] != nil
  }

  /// Whether its publisher has reported that it has mapped the segment.
  public func isReady(_ id: SegmentID) -> Bool { segments[id]?.isReady ?? false }

  /// Whether the segment's own publisher has not offered it yet, or has none.
  public func isOfferedByReadersOnly(_ id: SegmentID) -> Bool { segments[id]?.isForeign ?? false }

  public func isAwaited(_ stream: StreamID) -> Bool { streams[stream]?.isAwaited ?? false }
  public func isAwaited(_ subscription: SubscriptionID) -> Bool { subscriptions[subscription]?.isAwaited ?? false }
  public func isAway(_ stream: StreamID) -> Bool { streams[stream]?.absence != nil }
  public func isAway(_ subscription: SubscriptionID) -> Bool { subscriptions[subscription]?.absence != nil }

  /// The streams that match a subscription and are back, with all of their segments.
  public func segmentsToReturn(to subscription: SubscriptionID) -> [SegmentIdentity] {
    (subscriptions[subscription]?.streams ?? []).filter { !isAway($0) }.flatMap { segments(of: $0) }
  }

  public func segments(of stream: StreamID) -> [SegmentIdentity] {
    (streams[stream]?.segments ?? []).compactMap { segments[$0]?.identity }
  }

  // MARK: - Who does not return

  /// The streams and subscriptions whose clients did not return in time: they are to be closed, as of the dead. Of the
  /// streams, all that there will be is here: ``streamReturned(_:contents:now:)`` comes first.
  public mutating func takeOverdue(now: UInt64) -> [Holder] {
    let overdue = awaited.filter { absence(of: $0).map { $0 <= now } ?? true }
    awaited.subtract(overdue)
    for case .publisher(let stream) in overdue { streams[stream]?.absence = .returning }
    return overdue.sorted()
  }

  /// When the next of them is given up.
  var nextAwaitedDeadline: UInt64? { awaited.compactMap { absence(of: $0) }.min() }

  /// Until when a stream or a subscription of the node before is waited for; nil if it is not.
  func absence(of holder: Holder) -> UInt64? {
    let absence =
      switch holder {
      case .publisher(let stream): streams[stream]?.absence
      case .subscription(let subscription): subscriptions[subscription]?.absence
      }
    return if case .awaited(let until)? = absence { until } else { nil }
  }
}
