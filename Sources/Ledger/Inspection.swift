import Vocabulary

// The books, to be looked at. Times are of the clock that events were told with.

extension Ledger {
  public struct TopicRow: Sendable {
    public var name: TopicName
    public var publishers: Int
    public var subscriptions: Int
    public var segments: Int
    public var bytes: UInt64
    public var quota: UInt64
    public var retention: Retention
  }

  public struct StreamRow: Sendable {
    public var id: StreamID
    public var client: ClientID
    public var topic: TopicName
    public var isClosed: Bool
    public var segments: Int
    public var bytes: UInt64
    public var opened: UInt64
  }

  public struct SubscriptionRow: Sendable {
    public var id: SubscriptionID
    public var client: ClientID
    public var pattern: TopicPattern
    public var observes: Bool
    public var backlogSegments: Int
    public var backlogMessages: UInt64
    public var backlogBytes: UInt64
    public var joined: UInt64
  }

  public struct SegmentRow: Sendable {
    public var identity: SegmentIdentity
    public var state: SegmentState
    public var capacity: UInt64
    public var stream: StreamID
    public var topic: TopicName
    /// Known once it is complete.
    public var slots: UInt32
    public var leasedAt: UInt64
    public var stateSince: UInt64
    public var holders: [HolderRow]
  }

  public struct HolderRow: Sendable {
    public enum Reason: Sendable {
      /// It may write.
      case writes
      /// It has not released it.
      case promised
      /// It has only not unmapped it.
      case mapped
      /// It is of the node before, and not back yet: it is given up then.
      case awaited(until: UInt64)
    }

    public var holder: Holder
    public var reason: Reason
    public var since: UInt64
  }

  public var poolUsage: PoolUsage { usage }
  public var totals: Counters { counters }
  public var waitingLeaseCount: Int { waiting.count }

  public var topicRows: [TopicRow] {
    topics.values.sorted { $0.name < $1.name }.map { topic in
      let members = topic.streams.compactMap { streams[$0] }
      return TopicRow(
        name: topic.name, publishers: members.filter { !$0.isClosed && !$0.isAwaited }.count,
        subscriptions: members.map { $0.subscriptions.count { subscriptions[$0]?.isAwaited == false } }.max() ?? 0,
        segments: members.reduce(0) { $0 + $1.segments.count }, bytes: topic.bytes, quota: quota(of: topic.name),
        retention: topic.retention)
    }
  }

  public var streamRows: [StreamRow] {
    streams.values.sorted { $0.id < $1.id }.map { stream in
      StreamRow(
        id: stream.id, client: stream.client, topic: stream.topic, isClosed: stream.isClosed,
        segments: stream.segments.count,
        bytes: stream.segments.reduce(0) { $0 + (segments[$1]?.capacity ?? 0) }, opened: stream.opened)
    }
  }

  public var subscriptionRows: [SubscriptionRow] {
    subscriptions.values.sorted { $0.id < $1.id }.filter { !$0.hasLeft && !$0.isAwaited }.map { subscription in
      SubscriptionRow(
        id: subscription.id, client: subscription.client, pattern: subscription.pattern,
        observes: subscription.observes, backlogSegments: subscription.backlog.count,
        backlogMessages: subscription.backlogMessages, backlogBytes: subscription.backlogBytes,
        joined: subscription.joined)
    }
  }

  public var segmentRows: [SegmentRow] {
    segments.values.sorted { $0.id < $1.id }.map { segment in
      SegmentRow(
        identity: segment.identity, state: segment.state, capacity: segment.capacity, stream: segment.stream,
        topic: segment.topic, slots: segment.slots, leasedAt: segment.leasedAt, stateSince: segment.stateSince,
        holders: holders(of: segment))
    }
  }

  private func holders(of segment: SegmentRecord) -> [HolderRow] {
    let promised = segment.promises.sorted { $0.key < $1.key }.map { id, since in
      let reason = absence(of: .subscription(id)).map { HolderRow.Reason.awaited(until: $0) } ?? .promised
      return HolderRow(holder: .subscription(id), reason: reason, since: since)
    }
    let mapped = segment.mappings.sorted { $0.key < $1.key }.compactMap { holder, since -> HolderRow? in
      if case .subscription(let id) = holder, segment.promises[id] != nil { return nil }
      if case .publisher = holder, segment.state == .leased {
        return HolderRow(holder: holder, reason: .writes, since: segment.leasedAt)
      }
      return HolderRow(holder: holder, reason: .mapped, since: since)
    }
    let publisher = Holder.publisher(segment.stream)
    guard segment.state == .leased, let end = absence(of: publisher) else { return promised + mapped }
    return promised + mapped + [HolderRow(holder: publisher, reason: .awaited(until: end), since: segment.leasedAt)]
  }

  public func client(of stream: StreamID) -> ClientID? { streams[stream]?.client }
  public func client(of subscription: SubscriptionID) -> ClientID? { subscriptions[subscription]?.client }

  /// What a topic keeps; nil if it keeps nothing.
  public func retention(of topic: TopicName) -> Retention? {
    topics[topic].flatMap { $0.retention.keepsNothing ? nil : $0.retention }
  }

  /// Whether a subscription was not closed.
  public func isOpen(_ subscription: SubscriptionID) -> Bool { subscriptions[subscription]?.hasLeft == false }

  public func observes(_ subscription: SubscriptionID) -> Bool { subscriptions[subscription]?.observes ?? false }

  public func wantsRetained(_ subscription: SubscriptionID) -> Bool {
    subscriptions[subscription]?.wantsRetained ?? false
  }

  /// The segments of a stream that the subscription must release.
  public func promisedSegments(of stream: StreamID, to subscription: SubscriptionID) -> [SegmentIdentity] {
    (streams[stream]?.segments ?? []).compactMap { id in
      segments[id].flatMap { $0.promises[subscription] != nil ? $0.identity : nil }
    }
  }

  /// The segments that somebody has mapped.
  public func mappings(of holder: Holder) -> [SegmentID] {
    switch holder {
    case .subscription(let id): subscriptions[id]?.mappings.sorted() ?? []
    case .publisher(let id): (streams[id]?.segments ?? []).filter { segments[$0]?.mappings[holder] != nil }
    }
  }
}
