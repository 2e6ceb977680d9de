import BusProtocol
import Ledger
import PooledMemory
import Vocabulary

extension NodeCore {
  /// Handles a client's message. One that speaks of what isn't the client's own ends the connection; one that is merely
  /// late (the segment was taken back meanwhile) has no effect.
  mutating func handle(
    _ message: ClientMessage, from client: ClientID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let record = clients[client], !record.hasLeft else { return [] }
    guard record.hasGreeted else { return greet(message, from: client) }

    switch message {
    case .hello:
      return refuse(client, .malformed, "Hello came twice: send it once, first")

    case .openPublisher(let open):
      if let refusal = objection(to: open, of: client) { return [.send(.refusal(refusal), to: client)] }
      let stream = StreamID(rawValue: nextID())
      streams[stream] = StreamRecord(topic: open.topic, client: client)
      clients[client]?.streams.insert(stream)
      let decided = ledger.openStream(
        stream, client: client, topic: open.topic, whenFull: open.whenFull, retention: open.retention,
        user: UserID(rawValue: record.peer.userID), limit: quota(of: client).limit, now: now)
      let opened = PublisherOpened(request: open.request, stream: stream, quota: ledger.mostBytes(of: stream))
      return [.send(.publisherOpened(opened), to: client)] + tellRetention()
        + execute(decided, contents: contents, now: now)

    case .closePublisher(let stream):
      guard owns(client, stream) else { return notOwn(client, stream) }
      dropLeases(of: [stream])
      return close(stream, mappingsGone: false, mayReturn: false, contents: contents, now: now)

    case .subscribe(let wish):
      if let refusal = objection(to: wish, of: client) { return [.send(.refusal(refusal), to: client)] }
      let subscription = SubscriptionID(rawValue: nextID())
      subscriptions[subscription] = SubscriptionRecord(client: client)
      clients[client]?.subscriptions.insert(subscription)
      let decided = ledger.subscribe(
        subscription, client: client, pattern: wish.pattern, readable: topics(for: client, .subscribe),
        observes: wish.observes, wantsRetained: wish.wantsRetained, backlog: wish.backlog, now: now)
      let subscribed = Subscribed(request: wish.request, subscription: subscription)
      return [.keepWakePage(subscription), .send(.subscribed(subscribed), to: client)]
        + execute(decided, contents: contents, now: now)

    case .unsubscribe(let subscription):
      if let answer = answer(to: client, speakingOf: subscription) { return answer }
      let decided = ledger.unsubscribe(subscription, .closed, now: now)
      return execute(decided, contents: contents, now: now) + stopListening(subscription, .closed)
        + forgetIfOver(subscription)

    case .requestLease(let wish):
      guard owns(client, wish.stream) else { return notOwn(client, wish.stream) }
      guard SegmentLayout.allows(capacity: Int(clamping: wish.capacity)) else {
        return refuse(client, .malformed, "a segment can't have \(wish.capacity) bytes: \(Self.possibleCapacities)")
      }
      guard SegmentLayout.allows(capacity: Int(clamping: wish.minimum)) else {
        return refuse(
          client, .malformed, "a segment can't have \(wish.minimum) bytes at the least: \(Self.possibleCapacities)")
      }
      guard streams[wish.stream]?.isClosed == false else { return [] }
      if let refusal = objection(to: wish, of: client) { return [.send(.refusal(refusal), to: client)] }
      let lease = nextLease()
      leases[lease] = PendingLease(client: client, stream: wish.stream, request: wish.request)
      let decided = ledger.requestLease(
        lease, stream: wish.stream, capacity: wish.capacity, minimum: wish.minimum, isAhead: wish.isAhead,
        now: now)
      return execute(decided, contents: contents, now: now)

    case .cancelLease(let request):
      guard let lease = leases.first(where: { $0.value.client == client && $0.value.request == request })?.key,
        !creating.values.contains(lease)
      else { return [] }
      return execute(ledger.cancelLease(lease, now: now), contents: contents, now: now)

    case .segmentReady(let segment):
      guard let stream = segments[segment.id]?.stream else { return [] }
      if let refusal = refuseUngranted(segment.id, of: stream, to: client) { return refusal }
      return [.sealAgainstFurtherWriters(segment.id)]
        + execute(ledger.segmentReady(segment, now: now), contents: contents, now: now)

    case .sealSegment(let segment):
      guard let stream = segments[segment.id]?.stream else { return [] }
      if let refusal = refuseUngranted(segment.id, of: stream, to: client) { return refusal }
      let end = end(of: segment, stream, contents: contents)
      // If it was not reported ready before, it is handed now, and nobody else shall write it.
      let sealing = ledger.isReady(segment.id) ? [] : [NodeAction.sealAgainstFurtherWriters(segment.id)]
      return sealing + execute(ledger.seal(segment.id, end, now: now), contents: contents, now: now)

    case .segmentPassed(let segment, let subscription):
      if let answer = answer(to: client, speakingOf: subscription) { return answer }
      return execute(ledger.passed(segment, by: subscription, now: now), contents: contents, now: now)

    case .releaseSegment(let segment, let subscription):
      if let answer = answer(to: client, speakingOf: subscription) { return answer }
      return execute(ledger.release(segment, by: subscription, now: now), contents: contents, now: now)

    case .segmentUnmapped(let segment, let subscription):
      guard let subscription else {
        guard let stream = segments[segment]?.stream else { return [] }
        if let refusal = refuseUngranted(segment, of: stream, to: client) { return refusal }
        return execute(ledger.unmapped(segment, by: .publisher(stream), now: now), contents: contents, now: now)
      }
      if let answer = answer(to: client, speakingOf: subscription) { return answer }
      let decided = ledger.unmapped(segment, by: .subscription(subscription), now: now)
      return execute(decided, contents: contents, now: now) + forgetIfOver(subscription)

    case .rejoinPublisher(let publisher): return rejoin(publisher, from: client, contents: contents, now: now)
    case .rejoinSubscription(let wish): return rejoin(wish, from: client, now: now)
    case .rejoinCursor(let cursor): return rejoin(cursor, from: client, now: now)
    case .offerSegment(let segment): return offer(segment, from: client)
    case .rejoinDone: return rejoinDone(client, contents: contents, now: now)

    case .inspect(let request):
      if let refusal = objection(toInspection: request, of: client) { return [.send(.refusal(refusal), to: client)] }
      return snapshot(for: request, of: client, contents: contents, now: now).map { .send(.snapshot($0), to: client) }
    }
  }

  private static let possibleCapacities = "ask for whole pages, from 8 KiB to 256 GiB"

  /// Tells publishers whether their messages are kept, by the topic or for who is awaited, where that has changed.
  mutating func tellRetention() -> [NodeAction] {
    let untold = streams.filter { stream, record in
      !record.isClosed && !ledger.isAwaited(stream) && record.isRetained != isKept(stream, of: record.topic)
    }
    return untold.sorted { $0.key < $1.key }.map { stream, record in
      streams[stream]?.isRetained = !record.isRetained
      return .send(.retention(stream, isRetained: !record.isRetained), to: record.client)
    }
  }

  private func isKept(_ stream: StreamID, of topic: TopicName) -> Bool {
    ledger.retention(of: topic) != nil || ledger.isKeptForAwaited(stream)
  }

  private mutating func greet(_ message: ClientMessage, from client: ClientID) -> [NodeAction] {
    guard case .hello(let hello) = message else {
      return refuse(client, .malformed, "the first message must be Hello")
    }
    guard hello.protocolVersion == Hello.currentProtocolVersion else {
      return refuse(
        client, .version,
        "this node speaks version \(Hello.currentProtocolVersion) of the protocol, the client \(hello.protocolVersion): "
          + "use the same release of PoolBus on both sides")
    }
    clients[client]?.name = hello.name
    clients[client]?.hasGreeted = true
    let welcome = Welcome(
      client: client, contribution: configuration.contribution, handleEndpoint: handleEndpoint(of: client),
      life: life, isEmbedded: configuration.isEmbedded, bell: bell(of: client))
    return [.send(.welcome(welcome), to: client)]
  }

  // A stream or subscription that the node has forgotten was this client's or nobody's: late, not hostile.

  private func owns(_ client: ClientID, _ stream: StreamID) -> Bool {
    streams[stream].map { $0.client == client } ?? true
  }

  /// Nil if the subscription is the client's. One that is awaited is not back, so what anybody says of it has no effect.
  private func answer(to client: ClientID, speakingOf subscription: SubscriptionID) -> [NodeAction]? {
    guard let record = subscriptions[subscription] else { return [] }
    return record.client == client ? nil : notOwn(client, subscription)
  }

  /// Nil if the client may say something of the segment as its publisher. While that is being made there is no memory that
  /// could be sealed, handed or given back: it is on the books until it is there.
  private func refuseUngranted(_ segment: SegmentID, of stream: StreamID, to client: ClientID) -> [NodeAction]? {
    guard owns(client, stream) else { return notOwn(client, segment) }
    guard creating[segment] == nil else {
      return refuse(client, .malformed, "\(segment) was not granted yet: map it first, and speak of it then")
    }
    return nil
  }

  private func notOwn(_ client: ClientID, _ thing: some CustomStringConvertible) -> [NodeAction] {
    refuse(client, .notPermitted, "\(thing) belongs to another client")
  }

  /// Ends the connection, saying why.
  func refuse(_ client: ClientID, _ code: RefusalCode, _ message: String) -> [NodeAction] {
    [
      .send(.refusal(Refusal(request: 0, code: code, message: message)), to: client),
      .disconnect(client, reason: message),
    ]
  }
}
