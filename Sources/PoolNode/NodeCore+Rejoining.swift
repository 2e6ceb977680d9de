import BusProtocol
import Ledger
import Vocabulary

/// Clients of the node before return with what they had.
///
/// Nothing that one says is trusted further than it concerns itself: ids are those of an earlier life, each is had by one
/// client, and memory is taken only if it is what an earlier node made, for this stream of this topic.
extension NodeCore {
  mutating func rejoin(
    _ publisher: RejoinPublisher, from client: ClientID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    if let refusal = refuseReturn(of: publisher.stream, to: client) { return refusal }
    guard topics(for: client, .publish).allows(publisher.topic) else {
      return refuse(client, .notPermitted, notPermitted(client, "publish", publisher.topic.text))
    }
    if let excess = excessOfPublishers(of: client) { return refuse(client, .limit, excess) }
    do throws(ReturnRefusal) {
      let decided = try ledger.returnStream(
        publisher.stream, client: client, topic: publisher.topic, whenFull: publisher.whenFull,
        retention: publisher.retention, opened: publisher.opened,
        user: UserID(rawValue: clients[client]?.peer.userID ?? .max),
        limit: quota(of: client).limit, listeners: publisher.listeners.filter { !life.gave($0) },
        awaitedUntil: graceEnd(now), now: now)
      var record =
        streams[publisher.stream] ?? StreamRecord(topic: publisher.topic, client: client)
      record.topic = publisher.topic
      record.client = client
      record.lastSealedSequence = publisher.lastSequence
      streams[publisher.stream] = record
      clients[client]?.isReturning = true
      clients[client]?.streams.insert(publisher.stream)
      for listener in publisher.listeners where ledger.isAwaited(listener) {
        awaitedListeners[listener, default: []].insert(publisher.stream)
      }
      let quota = NodeMessage.quota(publisher.stream, bytes: ledger.mostBytes(of: publisher.stream))
      return [.send(quota, to: client)] + tellRetention() + execute(decided, contents: contents, now: now)
    } catch {
      return refuse(client, error, publisher.stream)
    }
  }

  mutating func rejoin(_ wish: RejoinSubscription, from client: ClientID, now: UInt64) -> [NodeAction] {
    if let refusal = refuseReturn(of: wish.subscription, to: client) { return refusal }
    if let excess = excessOfSubscriptions(of: client) { return refuse(client, .limit, excess) }
    do throws(ReturnRefusal) {
      try ledger.returnSubscription(
        wish.subscription, client: client, pattern: wish.pattern, readable: topics(for: client, .subscribe),
        observes: wish.observes, wantsRetained: wish.wantsRetained, backlog: wish.backlog, joined: wish.joined, now: now
      )
    } catch {
      return refuse(client, error, wish.subscription)
    }
    awaitedListeners[wish.subscription] = nil
    subscriptions[wish.subscription] = SubscriptionRecord(client: client)
    clients[client]?.isReturning = true
    clients[client]?.subscriptions.insert(wish.subscription)
    return [.keepWakePage(wish.subscription)]
  }

  mutating func rejoin(_ cursor: RejoinCursor, from client: ClientID, now: UInt64) -> [NodeAction] {
    if let refusal = refuseReturn(of: cursor.stream, to: client) { return refusal }
    guard subscriptions[cursor.subscription]?.client == client else {
      return refuse(client, ReturnRefusal.notTheirs, cursor.subscription)
    }
    if let excess = excessOfCursors(of: cursor.subscription) { return refuse(client, .limit, excess) }
    do throws(ReturnRefusal) {
      try ledger.returnCursor(
        cursor.subscription, stream: cursor.stream, topic: cursor.topic, nextSequence: cursor.nextSequence,
        awaitedUntil: graceEnd(now), now: now)
    } catch {
      return refuse(client, error, cursor.stream)
    }
    if streams[cursor.stream] == nil, ledger.isAwaited(cursor.stream) {
      streams[cursor.stream] = StreamRecord(topic: cursor.topic, client: .nobody)
    }
    subscriptions[cursor.subscription]?.told[cursor.stream] = cursor.topic
    return []
  }

  /// The client has said all that it had: who is back meets who is back.
  mutating func rejoinDone(_ client: ClientID, contents: some SegmentContents, now: UInt64) -> [NodeAction] {
    guard let record = clients[client] else { return [] }
    clients[client]?.isReturning = false
    clients[client]?.hasRejoined = true
    var actions: [NodeAction] = []
    for stream in record.streams.sorted() where ledger.isAway(stream) {
      let filling = fillings(of: ledger.segments(of: stream), contents: contents)
      actions += execute(ledger.streamReturned(stream, contents: filling, now: now), contents: contents, now: now)
    }
    for subscription in record.subscriptions.sorted() where ledger.isAway(subscription) {
      subscriptions[subscription]?.told = [:]
      let filling = fillings(of: ledger.segmentsToReturn(to: subscription), contents: contents)
      actions += execute(
        ledger.subscriptionReturned(subscription, contents: filling, now: now), contents: contents, now: now)
    }
    return actions + tellRetention()
  }

  /// Whether there are clients that have something to bring back to the next node.
  var mayBeReturnedTo: Bool {
    clients.values.contains { client in
      !client.hasLeft
        && (client.streams.contains { streams[$0]?.isClosed == false }
          || client.subscriptions.contains(where: ledger.isOpen))
    }
  }

  /// The publisher's client has gone while it told what it has. What it has told so far is no end of its stream: those
  /// who are not back yet may have more of it.
  mutating func interruptReturn(
    of stream: StreamID, mappingsGone: Bool, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    streams[stream]?.client = .nobody
    streams[stream]?.isRetained = false
    let decided = ledger.interruptReturn(
      of: stream, mappingsGone: mappingsGone, awaitedUntil: graceEnd(now), now: now)
    return execute(decided, contents: contents, now: now)
  }

  /// Those who did not return in time are taken for dead.
  mutating func giveUpAwaited(contents: some SegmentContents, now: UInt64) -> [NodeAction] {
    let overdue = ledger.takeOverdue(now: now)
    guard !overdue.isEmpty else { return [] }
    var actions: [NodeAction] = []
    for holder in overdue {
      switch holder {
      case .publisher(let stream): actions += giveUp(stream, contents: contents, now: now)
      case .subscription(let subscription):
        for stream in awaitedListeners.removeValue(forKey: subscription).map({ $0.sorted() }) ?? [] {
          guard let publisher = streams[stream], !publisher.isClosed else { continue }
          // The books know no mapping of it; but it may live, with samples out.
          actions.append(.send(.subscriberLeft(subscription, stream: stream, .closed), to: publisher.client))
        }
        let decided = ledger.unsubscribe(subscription, .died, now: now)
        actions += execute(decided, contents: contents, now: now)
      }
    }
    return actions + tellRetention()
  }

  /// What others have of a stream whose publisher does not come back is handed to whoever lacks it; then it ends.
  private mutating func giveUp(
    _ stream: StreamID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    for segment in ledger.segments(of: stream) { ledger.followPublisher(to: contents.currentLife(of: segment)) }
    let filling = fillings(of: ledger.segments(of: stream), contents: contents)
    streams[stream]?.lastSealedSequence = filling.values.compactMap(\.sequences?.upperBound).max() ?? 0
    let decided = ledger.streamReturned(stream, contents: filling, now: now)
    // A publisher that was interrupted may still have some mapped: that goes with its process.
    return execute(decided, contents: contents, now: now)
      + close(stream, mappingsGone: false, mayReturn: true, contents: contents, now: now)
  }

  /// What a subscription that has returned missed of a stream, because it was gone before both were back.
  func lagSinceReturn(
    of stream: StreamID, for subscription: SubscriptionID, contents: some SegmentContents
  ) -> Lagged? {
    guard let position = ledger.position(of: subscription, in: stream), position > 0 else { return nil }
    let last = lastSequence(of: stream, contents: contents)
    guard position <= last, last < .max else { return nil }
    var lost = RangeSet(position..<(last + 1))
    for range in sequences(in: ledger.promisedSegments(of: stream, to: subscription), contents: contents) {
      lost.remove(contentsOf: range)
    }
    guard !lost.isEmpty else { return nil }
    return Lagged(
      subscription: subscription, stream: stream, ranges: lost.ranges.map { $0.lowerBound...($0.upperBound - 1) },
      bytes: 0)
  }

  private func fillings(
    of identities: [SegmentIdentity], contents: some SegmentContents
  ) -> [SegmentID: SegmentFilling] {
    var fillings: [SegmentID: SegmentFilling] = [:]
    for identity in identities {
      let ends = contents.firstSequence(in: identity).flatMap { first in
        contents.lastSequence(in: identity).map { min(first, $0)...max(first, $0) }
      }
      fillings[identity.id] = SegmentFilling(
        slots: contents.committed(in: identity), sequences: ends,
        lastPublished: contents.lastPublished(in: identity))
    }
    return fillings
  }

  func graceEnd(_ now: UInt64) -> UInt64 { now.addingClamped(configuration.rejoinGrace.wholeNanoseconds) }

  /// Nil if the client may speak of what it had at all, and of something with this id.
  func refuseReturn(
    of id: some RawRepresentable<UInt64> & CustomStringConvertible, to client: ClientID
  ) -> [NodeAction]? {
    guard clients[client]?.hasRejoined == false else {
      return refuse(client, .malformed, "\(id) comes after RejoinDone: say all that you have before it")
    }
    guard !life.gave(id) else {
      return refuse(client, .notPermitted, "\(id) can't be taken back: this node has named it itself, in this life")
    }
    return nil
  }

  func refuse(
    _ client: ClientID, _ refusal: ReturnRefusal, _ thing: some CustomStringConvertible
  ) -> [NodeAction] {
    switch refusal {
    case .notTheirs:
      refuse(
        client, .notPermitted,
        "\(thing) can't be taken back: another client has it, or it was given up because nobody came back with it in time; "
          + "connect anew")
    case .contradiction:
      refuse(
        client, .notPermitted,
        "\(thing) can't be taken back: it is not what others say that it is, or this client itself")
    case .tooMuch:
      refuse(
        client, .limit,
        "\(thing) can't be taken back: clients bring back more than this node can take in; contribute more to the pool")
    }
  }
}
