import BusProtocol
import Ledger
import Vocabulary

extension NodeCore {
  /// Turns what the ledger decided into messages and work on segments.
  mutating func execute(
    _ decided: [LedgerAction], contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    var actions: [NodeAction] = []
    // Of a segment that is taken from many the log is read once.
    var taken: (segment: SegmentIdentity, ranges: [ClosedRange<UInt64>])?
    for action in decided {
      switch action {
      case .introduce(let stream, let subscription):
        let observes = ledger.observes(subscription)
        if !observes { noteJoin(of: stream, contents: contents) }
        guard let record = streams[stream] else { break }
        // Its publisher has not come back, and the stream ends next: that is news only to who does not know it.
        let isGivenUp = record.client == .nobody
        if !isGivenUp || !ledger.knew(stream, subscription) {
          let introduced = StreamIntroduced(
            subscription: subscription, stream: stream, topic: record.topic,
            handleEndpoint: record.isClosed || isGivenUp ? "" : handleEndpoint(of: record.client),
            firstSequence: firstSequence(of: stream, for: subscription, contents: contents))
          actions += tell(subscription, .streamIntroduced(introduced))
        }
        if let lagged = lagSinceReturn(of: stream, for: subscription, contents: contents) {
          actions += tellLagged(lagged)
        }
        if !record.isClosed, !isGivenUp {
          subscriptions[subscription]?.streams.insert(stream)
          let listener = observes ? nil : subscriptions[subscription]?.client
          let joined = SubscriberJoined(
            stream: stream, subscription: subscription, joins: record.joins, observes: observes,
            bell: listener.map { bell(of: $0) } ?? "")
          actions.append(.send(.subscriberJoined(joined), to: record.client, attaching: .wakePage(subscription)))
        }

      case .create(let segment, let capacity, let lease, let stream):
        guard let topic = streams[stream]?.topic else { break }
        segments[segment] = SegmentRecord(stream: stream, capacity: capacity)
        streams[stream]?.segmentCount += 1
        creating[segment] = lease
        actions.append(.create(segment, of: SegmentOrigin(stream, topic), capacity: capacity))

      case .regrant(let segment, let lease, let stream):
        guard let pending = leases.removeValue(forKey: lease), let record = segments[segment.id] else { break }
        let granted = LeaseGranted(
          request: pending.request, stream: stream, segment: segment, capacity: record.capacity, warm: true,
          isShort: ledger.isWanted(stream))
        actions.append(.send(.leaseGranted(granted), to: pending.client))

      case .refuse(let lease, let refusal):
        guard let pending = leases.removeValue(forKey: lease) else { break }
        let message = Refusal(request: pending.request, code: refusal.code, message: describe(refusal, now: now))
        actions.append(.send(.refusal(message), to: pending.client))

      case .hand(let segment, let subscription, let stream, let warm):
        guard let record = segments[segment.id] else { break }
        // Not to one of an earlier node's, whose number, in a word that stays behind, could be taken for one of this life's.
        if record.places[subscription] == nil, life.gave(segment.id) {
          actions += assignPlace(for: segment.id, of: stream, to: subscription)
        }
        let handed = SegmentHanded(
          subscription: subscription, stream: stream, segment: segment, capacity: record.capacity, warm: warm,
          place: segments[segment.id]?.places[subscription] ?? 0)
        actions += tell(subscription, .segmentHanded(handed), attaching: warm ? nil : .readOnly(segment.id))

      case .tellSealed(let segment, let subscription, let stream, let slots):
        let sealed = SegmentSealed(subscription: subscription, stream: stream, segment: segment, slots: slots)
        actions += tell(subscription, .segmentSealed(sealed))

      case .askBack(let stream):
        guard let client = streams[stream]?.client else { break }
        actions.append(.send(.giveBack(stream), to: client))

      case .forget(let segment, .publisher(let stream)):
        guard let client = streams[stream]?.client else { break }
        actions.append(.send(.forgetSegment(segment, by: nil), to: client))

      case .forget(let segment, .subscription(let subscription)):
        actions += tell(subscription, .forgetSegment(segment, by: subscription))

      case .lag(let segment, let subscription, let stream):
        if taken?.segment != segment { taken = (segment, contents.sequences(in: segment)) }
        let lagged = Lagged(
          subscription: subscription, stream: stream, ranges: taken?.ranges ?? [],
          bytes: segments[segment.id]?.capacity ?? 0)
        actions += tellLagged(lagged)

      case .endStream(let stream, let subscription):
        let mayReturn = streams[stream]?.mayReturn ?? false
        let ended = StreamEnded(subscription: subscription, stream: stream, mayReturn: mayReturn)
        actions += tell(subscription, .streamEnded(ended))

      case .destroy(let segment):
        actions.append(.destroy(segment))
        forget(segment)
      }
    }
    return actions
  }

  private mutating func tellLagged(_ lagged: Lagged) -> [NodeAction] {
    messagesLagged &+= lagged.messageCount
    subscriptions[lagged.subscription]?.laggedMessages &+= lagged.messageCount
    return lagged.split().flatMap { tell(lagged.subscription, .lagged($0)) }
  }

  mutating func forget(_ segment: SegmentID) {
    if let lease = creating.removeValue(forKey: segment) { leases[lease] = nil }
    guard let record = segments.removeValue(forKey: segment) else { return }
    for (subscription, place) in record.places { subscriptions[subscription]?.places.giveBack(place) }
    streams[record.stream]?.segmentCount -= 1
    pruneIfOver(record.stream)
  }

  /// A stream is remembered as long as its publisher lives or a segment of it does.
  mutating func pruneIfOver(_ stream: StreamID) {
    guard let record = streams[stream], record.isClosed, record.segmentCount <= 0 else { return }
    streams[stream] = nil
    clients[record.client]?.streams.remove(stream)
  }

  // MARK: - Joins and acknowledgements

  /// Counts a subscription that joins, where the stream's publisher sees it before it renews what it is writing now.
  private mutating func noteJoin(of stream: StreamID, contents: some SegmentContents) {
    streams[stream]?.joins += 1
    guard let joins = streams[stream]?.joins else { return }
    for segment in ledger.unsealedSegments(of: stream) { contents.noteJoins(joins, in: segment.id) }
  }

  /// Gives the subscription a word of its wake page for the segment, and tells the publisher which.
  private mutating func assignPlace(
    for segment: SegmentID, of stream: StreamID, to subscription: SubscriptionID
  ) -> [NodeAction] {
    guard let place = subscriptions[subscription]?.places.take() else { return [] }
    segments[segment]?.places[subscription] = place
    guard let record = streams[stream], !record.isClosed else { return [] }
    let promised = SegmentPromised(stream: stream, segment: segment, subscription: subscription, place: place)
    return [.send(.segmentPromised(promised), to: record.client)]
  }

  private func tell(
    _ subscription: SubscriptionID, _ message: NodeMessage, attaching attachment: Attachment? = nil
  ) -> [NodeAction] {
    guard let client = subscriptions[subscription]?.client else { return [] }
    return [.send(message, to: client, attaching: attachment)]
  }

  /// Where a subscription starts to read: after all that is committed now, or with what the topic retains, or with what
  /// was published since it joined, if the stream was away then.
  ///
  /// A publisher commits meanwhile, so this is a moment's answer; it is a right one, because every later message lies in
  /// a segment that the subscription is promised.
  private func firstSequence(
    of stream: StreamID, for subscription: SubscriptionID, contents: some SegmentContents
  ) -> UInt64 {
    guard let record = streams[stream] else { return 1 }
    if let position = ledger.position(of: subscription, in: stream) { return position }
    let last = lastSequence(of: stream, contents: contents)
    let next = last == .max ? last : last + 1

    let retained = ledger.wantsRetained(subscription) ? ledger.retention(of: record.topic) : nil
    let joined = ledger.joinInAbsence(of: stream, subscription)
    guard retained != nil || joined != nil else { return next }
    // The newest run without a gap: what was taken from the middle of a stream must not be waited for.
    var available = RangeSet<UInt64>()
    let promised = ledger.promisedSegments(of: stream, to: subscription)
    for range in sequences(in: promised, contents: contents) where range.upperBound <= next {
      available.insert(contentsOf: range)
    }
    guard let newest = available.ranges.last, newest.upperBound == next else { return next }
    var first = next
    if let retained {
      first = retained.messages.map { $0 < UInt64(newest.count) ? next - $0 : newest.lowerBound } ?? newest.lowerBound
    }
    if let joined, let since = promised.compactMap({ contents.firstSequence(in: $0, publishedSince: joined) }).min() {
      first = min(first, max(since, newest.lowerBound))
    }
    return first
  }

  /// What the segments hold, as far as it can be read, in order: a set of many ranges takes another in its midst only by
  /// moving those behind it.
  func sequences(in segments: [SegmentIdentity], contents: some SegmentContents) -> [Range<UInt64>] {
    segments.flatMap { contents.sequences(in: $0) }.filter { $0.upperBound < .max }
      .map { $0.lowerBound..<($0.upperBound + 1) }.sorted { $0.lowerBound < $1.lowerBound }
  }
}
