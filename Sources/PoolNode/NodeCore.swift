import BusProtocol
import Ledger
import Vocabulary

/// The node's decisions: messages of clients in, actions out.
///
/// It keeps the directory of clients, streams and subscriptions beside the ``Ledger``, and turns the ledger's actions
/// into messages. It holds no socket, descriptor or clock; `now` is nanoseconds of a monotonic clock.
struct NodeCore {
  let configuration: NodeConfiguration
  let started: UInt64
  let life: NodeLife
  var ledger: Ledger
  var clients: [ClientID: ClientRecord] = [:]
  var streams: [StreamID: StreamRecord] = [:]
  var subscriptions: [SubscriptionID: SubscriptionRecord] = [:]
  /// Who asked for a lease that is neither granted nor refused yet, by the ledger's number for it.
  var leases: [UInt64: PendingLease] = [:]
  /// Leases whose segment is being made.
  var creating: [SegmentID: UInt64] = [:]
  /// Where each living segment belongs.
  var segments: [SegmentID: SegmentRecord] = [:]
  /// Subscriptions of the node before that are awaited, and the streams whose publishers know them.
  var awaitedListeners: [SubscriptionID: Set<StreamID>] = [:]
  var messagesLagged: UInt64 = 0
  private var lastID: UInt64
  private var lastLease: UInt64 = 0
  private var lastClient: UInt64 = 0

  struct ClientRecord {
    var processID: Int32
    var peer: Peer
    var name = ""
    var joined: UInt64
    var hasGreeted = false
    /// Its socket is closed, but its process lives and may still map segments.
    var hasLeft = false
    /// It is telling what it had of the node before.
    var isReturning = false
    /// It has said all that it had of the node before.
    var hasRejoined = false
    var streams: Set<StreamID> = []
    var subscriptions: Set<SubscriptionID> = []
  }

  struct StreamRecord {
    var topic: TopicName
    var client: ClientID
    var isClosed = false
    /// Its publisher was not seen to end: it may go on at a later node.
    var mayReturn = false
    var segmentCount = 0
    /// The highest sequence in its sealed segments.
    var lastSealedSequence: UInt64 = 0
    /// Its publisher knows that the topic keeps messages.
    var isRetained = false
    /// How many subscriptions have joined that were promised something.
    var joins: UInt64 = 0
  }

  struct SubscriptionRecord {
    var client: ClientID
    /// The streams it listens to: their publishers know of it.
    var streams: Set<StreamID> = []
    var laggedMessages: UInt64 = 0
    var places = Places()
    /// The topics of the streams that it has spoken of since it is returning, by its own word.
    var told: [StreamID: TopicName] = [:]
  }

  struct PendingLease {
    var client: ClientID
    var stream: StreamID
    var request: UInt64
  }

  struct SegmentRecord {
    var stream: StreamID
    var capacity: UInt64
    /// Where each subscription that was handed the segment acknowledges it.
    var places: [SubscriptionID: UInt32] = [:]
  }

  init(configuration: NodeConfiguration, life: NodeLife = .random(), now: UInt64) {
    self.configuration = configuration
    self.life = life
    lastID = life.firstID
    started = now
    ledger = Ledger(contribution: configuration.contribution, quotas: configuration.quotas, life: life)
    if configuration.followsAnother { ledger.awaitAnybody(until: graceEnd(now), now: now) }
  }

  /// Ids are never used twice, across all kinds and all lives of the node: a stale one can't name something new.
  mutating func nextID() -> UInt64 {
    lastID += 1
    return lastID
  }

  /// The ledger's number for a lease that is asked for. It does not leave the node, so that ids are not used up for it.
  mutating func nextLease() -> UInt64 {
    lastLease += 1
    return lastLease
  }

  func handleEndpoint(of client: ClientID) -> String {
    "ipc://\(HandleSockets.path(.sender, beside: configuration.socketPath, client: client, life: life))"
  }

  func bell(of client: ClientID) -> String {
    HandleSockets.path(.bell, beside: configuration.socketPath, client: client, life: life)
  }

  // MARK: - Clients come and go

  mutating func clientConnected(processID: Int32, peer: Peer, now: UInt64) -> ClientID {
    // Clients are named anew when they rejoin, so their numbers can stay short.
    lastClient += 1
    let client = ClientID(rawValue: lastClient)
    clients[client] = ClientRecord(processID: processID, peer: peer, joined: now)
    return client
  }

  /// The client's socket is closed. Its process may live on with segments mapped: they stay on the books until it ends.
  mutating func clientLeft(
    _ client: ClientID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let record = clients[client], !record.hasLeft else { return [] }
    clients[client]?.hasLeft = true
    return depart(record, mappingsGone: false, contents: contents, now: now)
      + forgetIfClear(client, contents: contents, now: now)
  }

  /// A client that has left and maps nothing is as good as dead: a process that comes and goes leaves nothing here.
  private mutating func forgetIfClear(
    _ client: ClientID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let record = clients[client], record.hasLeft,
      holders(of: client, record).allSatisfy({ ledger.mappings(of: $0).isEmpty })
    else { return [] }
    return clientDied(client, contents: contents, now: now) + [.forgetClient(client)]
  }

  /// The client's process has ended: the kernel has unmapped what it had.
  mutating func clientDied(
    _ client: ClientID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let record = clients.removeValue(forKey: client) else { return [] }
    var actions = record.hasLeft ? [] : depart(record, mappingsGone: true, contents: contents, now: now)
    // What it had closed before, or left, it may still have had mapped.
    for holder in holders(of: client, record) {
      // What is being made for it is given back when it is there.
      for segment in ledger.mappings(of: holder) where creating[segment] == nil {
        actions += execute(ledger.unmapped(segment, by: holder, now: now), contents: contents, now: now)
      }
      if case .subscription(let subscription) = holder { actions += forget(subscription) }
    }
    return actions
  }

  /// What a client has or had, unless another has gone on with it since.
  private func holders(of client: ClientID, _ record: ClientRecord) -> [Holder] {
    record.streams.filter { [client, .nobody].contains(streams[$0]?.client) }.sorted().map(Holder.publisher)
      + record.subscriptions.filter { subscriptions[$0]?.client == client }.sorted().map(Holder.subscription)
  }

  private mutating func depart(
    _ record: ClientRecord, mappingsGone: Bool, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    var actions: [NodeAction] = []
    for subscription in record.subscriptions.sorted() {
      // Nobody has told it to end.
      let departure = mappingsGone ? Departure.died : .cutOff
      actions += execute(ledger.unsubscribe(subscription, departure, now: now), contents: contents, now: now)
      actions += stopListening(subscription, departure) + forgetIfOver(subscription)
    }
    // All at once, lest the end of each stream look through those of all.
    dropLeases(of: record.streams)
    for stream in record.streams.sorted() {
      guard !ledger.isAway(stream) else {
        actions += interruptReturn(of: stream, mappingsGone: mappingsGone, contents: contents, now: now)
        continue
      }
      actions += close(stream, mappingsGone: mappingsGone, mayReturn: !mappingsGone, contents: contents, now: now)
    }
    return actions
  }

  /// Leases that still wait go with their streams; those whose segment is being made are granted, or fail.
  mutating func dropLeases(of streams: Set<StreamID>) {
    for lease in ledger.dropLeases(of: streams) { leases[lease] = nil }
  }

  /// Its leases are to be dropped first.
  mutating func close(
    _ stream: StreamID, mappingsGone: Bool, mayReturn: Bool, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let record = streams[stream], !record.isClosed else { return [] }
    streams[stream]?.isClosed = true
    streams[stream]?.mayReturn = mayReturn
    var ends: [SegmentID: LogEnd] = [:]
    for segment in ledger.unsealedSegments(of: stream) {
      contents.noteClosed(segment.id)
      ends[segment.id] = end(of: contents.currentLife(of: segment), stream, contents: contents)
    }
    // What its publisher mapped but did not live to report is handed on, too, and nobody else shall write it.
    let sealing = ends.keys.sorted().map { NodeAction.sealAgainstFurtherWriters($0) }
    let decided = ledger.closeStream(
      stream, ends: ends, mappingsGone: mappingsGone, beingMade: Set(ends.keys.filter { creating[$0] != nil }),
      now: now)
    defer { pruneIfOver(stream) }
    return sealing + execute(decided, contents: contents, now: now)
  }

  /// Tells publishers that they need not ring the subscription any more.
  mutating func stopListening(_ subscription: SubscriptionID, _ departure: Departure) -> [NodeAction] {
    guard let record = subscriptions[subscription] else { return [] }
    subscriptions[subscription]?.streams = []
    return record.streams.sorted().compactMap { stream in
      guard let publisher = streams[stream], !publisher.isClosed else { return nil }
      return .send(.subscriberLeft(subscription, stream: stream, departure), to: publisher.client)
    }
  }

  mutating func forgetIfOver(_ subscription: SubscriptionID) -> [NodeAction] {
    ledger.client(of: subscription) == nil ? forget(subscription) : []
  }

  /// What comes late of a forgotten subscription has no effect.
  mutating func forget(_ subscription: SubscriptionID) -> [NodeAction] {
    guard let record = subscriptions.removeValue(forKey: subscription) else { return [] }
    clients[record.client]?.subscriptions.remove(subscription)
    return [.dropWakePage(subscription)]
  }

  /// How a life of a segment ended: what it holds, and who has read it already.
  mutating func end(
    of segment: SegmentIdentity, _ stream: StreamID, contents: some SegmentContents
  ) -> LogEnd {
    if let last = contents.lastSequence(in: segment), let record = streams[stream] {
      streams[stream]?.lastSealedSequence = max(record.lastSealedSequence, last)
    }
    let places = segments[segment.id]?.places ?? [:]
    let readers = places.filter { contents.hasAcknowledged(segment, by: $0.key, at: $0.value) }
    return LogEnd(
      epoch: segment.epoch, slots: contents.committed(in: segment), acknowledged: Set(readers.keys))
  }

  // MARK: - Segments are made

  mutating func segmentCreated(
    _ segment: SegmentID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let lease = creating.removeValue(forKey: segment), let pending = leases.removeValue(forKey: lease),
      let record = segments[segment]
    else { return [] }
    if clients[pending.client]?.hasLeft != false {
      // Nobody is there to map it.
      let decided = ledger.unmapped(segment, by: .publisher(record.stream), now: now)
      return execute(decided, contents: contents, now: now)
        + forgetIfClear(pending.client, contents: contents, now: now)
    }
    let granted = LeaseGranted(
      request: pending.request, stream: record.stream, segment: SegmentIdentity(id: segment, epoch: 1),
      capacity: record.capacity, warm: false, isShort: ledger.isWanted(record.stream))
    return [.send(.leaseGranted(granted), to: pending.client, attaching: .writable(segment))]
  }

  mutating func segmentCreationFailed(
    _ segment: SegmentID, contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    guard let lease = creating.removeValue(forKey: segment) else { return [] }
    let client = leases[lease]?.client
    let actions = execute(ledger.creationFailed(segment, lease: lease, now: now), contents: contents, now: now)
    // If its stream was closed meanwhile nobody waits for the lease, and nothing was refused.
    leases[lease] = nil
    return actions + (client.map { forgetIfClear($0, contents: contents, now: now) } ?? [])
  }

  mutating func advance(to now: UInt64, contents: some SegmentContents) -> [NodeAction] {
    giveUpAwaited(contents: contents, now: now) + execute(ledger.advance(to: now), contents: contents, now: now)
  }
}
