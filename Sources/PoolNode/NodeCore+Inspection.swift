import BusProtocol
import Glibc
import Ledger
import PooledMemory
import Vocabulary

extension NodeCore {
  /// The node's books at this moment, as far as the client may see them, in parts that fit a packet each.
  func snapshot(for request: UInt64, of client: ClientID, contents: some SegmentContents, now: UInt64) -> [SnapshotPart]
  {
    func age(_ time: UInt64) -> UInt64 { now > time ? now - time : 0 }
    let segmentRows = ledger.segmentRows
    var snapshot = Snapshot(pool: poolRow(now: now))
    snapshot.users = userRows
    snapshot.clients = clients.sorted { $0.key < $1.key }.map { id, client in
      ClientRow(
        client: id, name: client.name, processID: client.processID, userID: client.peer.userID,
        joinedNanosecondsAgo: age(client.joined))
    }
    snapshot.topics = ledger.topicRows.map { topic in
      TopicRow(
        topic: topic.name, publishers: UInt64(topic.publishers), subscriptions: UInt64(topic.subscriptions),
        segments: UInt64(topic.segments), bytes: topic.bytes, quota: topic.quota, retention: topic.retention)
    }
    snapshot.streams = ledger.streamRows.map { stream in
      StreamRow(
        stream: stream.id, client: stream.isClosed || stream.client == .nobody ? nil : stream.client,
        topic: stream.topic,
        handleEndpoint: stream.isClosed || stream.client == .nobody ? "" : handleEndpoint(of: stream.client),
        lastSequence: lastSequence(of: stream.id, contents: contents), segments: UInt64(stream.segments),
        bytes: stream.bytes, openedNanosecondsAgo: age(stream.opened))
    }
    snapshot.subscriptions = ledger.subscriptionRows.map { subscription in
      SubscriptionRow(
        subscription: subscription.id, client: subscription.client, pattern: subscription.pattern,
        observes: subscription.observes, backlogMessages: subscription.backlogMessages,
        backlogBytes: subscription.backlogBytes, backlogSegments: UInt64(subscription.backlogSegments),
        laggedMessages: subscriptions[subscription.id]?.laggedMessages ?? 0,
        joinedNanosecondsAgo: age(subscription.joined))
    }
    snapshot.segments = segmentRows.map { segment in
      let life = segment.state == .leased ? contents.currentLife(of: segment.identity) : segment.identity
      return SegmentRow(
        segment: life.id, epoch: life.epoch, state: segment.state,
        capacity: segment.capacity, stream: segment.stream, topic: segment.topic,
        messages: UInt64(segment.state == .leased ? contents.committed(in: life) : segment.slots),
        leasedNanosecondsAgo: age(segment.leasedAt), stateNanosecondsAgo: age(segment.stateSince))
    }
    snapshot.holders = segmentRows.flatMap { segment in
      segment.holders.compactMap { holder in
        holderRow(
          holder, of: segment.identity.id, hasRead: hasRead(segment, holder.holder, contents: contents),
          sinceNanosecondsAgo: age(holder.since), now: now)
      }
    }
    if configuration.access != nil { snapshot.restrict(to: topics(for: client, .inspect), for: client) }
    return snapshot.split(request: request)
  }

  /// Whether a subscription has acknowledged what a leased segment holds, which the node learns when it is sealed.
  private func hasRead(_ segment: Ledger.SegmentRow, _ holder: Holder, contents: some SegmentContents) -> Bool {
    guard case .subscription(let subscription) = holder, segment.state == .leased,
      let place = segments[segment.identity.id]?.places[subscription]
    else { return false }
    return contents.hasAcknowledged(contents.currentLife(of: segment.identity), by: subscription, at: place)
  }

  private var userRows: [UserRow] {
    // Of clients that are gone, the segments are there still.
    let accounts = ledger.userAccounts
    var users = Dictionary(grouping: clients.values.map(\.peer), by: \.userID)
    for user in accounts.keys where users[user.rawValue] == nil && user != .nobody { users[user.rawValue] = [] }
    return users.sorted { $0.key < $1.key }.map { id, peers in
      let held = accounts[UserID(rawValue: id)]
      let quota = peers.first.map { configuration.userQuotas.quota(of: $0) }
      return UserRow(
        userID: id, clients: UInt64(peers.count), clientQuota: quota?.clients,
        subscriptions: subscriptionCount(of: id), subscriptionQuota: quota?.subscriptions,
        segments: held?.segments ?? 0, segmentQuota: quota?.segments ?? held?.limit.segments,
        bytes: held?.bytes ?? 0, byteQuota: quota?.bytes ?? held?.limit.bytes)
    }
  }

  private func poolRow(now: UInt64) -> PoolRow {
    let usage = ledger.poolUsage
    return PoolRow(
      contribution: ledger.total, free: usage.free, leased: usage.leased, sealed: usage.sealed,
      retained: usage.retained, warm: usage.warm, pinned: usage.pinned,
      segmentsLeased: ledger.totals.segmentsLeased, segmentsRecycled: ledger.totals.segmentsRecycled,
      segmentsReclaimed: ledger.totals.segmentsReclaimed, messagesLagged: messagesLagged,
      hugePages: HugePages.status, waitingLeases: UInt64(ledger.waitingLeaseCount), nodeProcessID: getpid(),
      uptimeNanoseconds: now > started ? now - started : 0)
  }

  private func holderRow(
    _ row: Ledger.HolderRow, of segment: SegmentID, hasRead: Bool, sinceNanosecondsAgo: UInt64, now: UInt64
  ) -> HolderRow? {
    let reason: HolderRow.Reason
    switch row.reason {
    case .writes: reason = .writes
    case .promised where hasRead: reason = .mapped
    case .promised: reason = .promised
    case .mapped: reason = .mapped
    case .awaited(let until):
      let isKept = row.holder == .subscription(.anybody)
      let subscription: SubscriptionID? = if case .subscription(let id) = row.holder, !isKept { id } else { nil }
      return HolderRow(
        segment: segment, client: nil, subscription: subscription, reason: isKept ? .kept : .awaited,
        sinceNanosecondsAgo: sinceNanosecondsAgo, remainingNanoseconds: until > now ? until - now : 0)
    }
    switch row.holder {
    case .publisher(let stream):
      guard let client = streams[stream]?.client else { return nil }
      // One that hung up while it returned may have it mapped still; that it is awaited, another row says.
      if client == .nobody, case .writes = reason { return nil }
      return HolderRow(
        segment: segment, client: client == .nobody ? nil : client, subscription: nil, reason: reason,
        sinceNanosecondsAgo: sinceNanosecondsAgo)
    case .subscription(let subscription):
      guard let client = subscriptions[subscription]?.client else { return nil }
      return HolderRow(
        segment: segment, client: client, subscription: subscription, reason: reason,
        sinceNanosecondsAgo: sinceNanosecondsAgo)
    }
  }

  /// The sequence of the last message that a stream has committed; 0 before the first.
  func lastSequence(of stream: StreamID, contents: some SegmentContents) -> UInt64 {
    ledger.unsealedSegments(of: stream).reduce(streams[stream]?.lastSealedSequence ?? 0) { last, segment in
      max(last, contents.lastSequence(in: contents.currentLife(of: segment)) ?? 0)
    }
  }

  // MARK: - Refusals in words

  func describe(_ refusal: LeaseRefusal, now: UInt64) -> String {
    switch refusal {
    case .tooLarge(let limit): "a segment can have \(limit) bytes at the most here"
    case .cancelled: "the lease was given up, as its publisher asked"
    case .outOfMemory: "the machine has too little memory left, though the pool has room; contribute less to the pool"
    case .poolExhausted(let report): describe(report, now: now)
    case .outOfBalance:
      "the node has found its own books wrong, and leases no more memory; messages that are published are still "
        + "delivered. This is a bug of the node: its log says more. Restart it"
    }
  }

  private func describe(_ report: ExhaustedReport, now: UInt64) -> String {
    let what =
      switch report.limit {
      case .pool(let bytes): "the pool of \(bytes) bytes has no room for \(report.asked) more"
      case .topic(let topic, let bytes): "the quota of \(topic), \(bytes) bytes, has no room for \(report.asked) more"
      case .user(let user, let bytes): "the quota of \(user), \(bytes) bytes, has no room for \(report.asked) more"
      case .segments(let user, let count): "the quota of \(user), \(count) segments, allows no further one"
      }
    let shares = report.shares.map { share in
      let seconds = (now > share.since ? now - share.since : 0) / 1_000_000_000
      let waitsFor =
        share.awaited.isEmpty
        ? "" : ", awaiting the release of " + share.awaited.prefix(3).map(describe).joined(separator: " and ")
      return "\(share.topic) holds \(share.bytes) bytes for up to \(seconds) s\(waitsFor)"
    }
    return ([what] + shares).joined(separator: "; ")
      + ". Read faster, set a backlog limit on slow subscribers, or contribute more; 'busctl why' tells more"
  }

  private func describe(_ subscription: SubscriptionID) -> String {
    guard let client = subscriptions[subscription]?.client, let record = clients[client] else {
      return "\(subscription)"
    }
    return "\(subscription) of \(record.name) (pid \(record.processID))"
  }
}

extension LeaseRefusal {
  var code: RefusalCode {
    switch self {
    case .tooLarge: .tooLarge
    case .poolExhausted: .poolExhausted
    case .outOfMemory: .outOfMemory
    case .cancelled: .cancelled
    case .outOfBalance: .nodeFault
    }
  }
}
