import Vocabulary

// What a topic keeps beyond acknowledgement.

extension Ledger {
  /// The topic's complete segments that its retention keeps, newest first.
  func retentionWindow(of name: TopicName, now: UInt64) -> [SegmentID] {
    guard let topic = topics[name], !topic.retention.keepsNothing else { return [] }
    var window: [SegmentID] = []
    var (messages, bytes): (UInt64, UInt64) = (0, 0)
    for id in topic.sealed.reversed() {
      guard let segment = segments[id] else { continue }
      bytes += segment.capacity
      if let limit = topic.retention.messages, messages >= limit { break }
      if let limit = topic.retention.bytes, bytes > limit { break }
      if let deadline = retentionDeadline(of: segment, in: topic), deadline <= now { break }
      messages += UInt64(segment.slots)
      window.append(id)
    }
    return window
  }

  /// The same, found out once for many segments.
  func retentionWindow(
    of name: TopicName, _ known: inout [TopicName: Set<SegmentID>], now: UInt64
  ) -> Set<SegmentID> {
    if let window = known[name] { return window }
    let window = Set(retentionWindow(of: name, now: now))
    known[name] = window
    return window
  }

  /// What the topic keeps from now on; nil leaves it as it is.
  mutating func set(
    _ retention: Retention?, of topic: TopicName, now: UInt64, _ actions: inout [LedgerAction]
  ) {
    guard let retention else { return }
    topics[topic]?.retention = retention
    if retention.age == nil { aging.remove(topic) } else { aging.insert(topic) }
    reviewRetention(of: topic, now: now, &actions)
  }

  /// Takes back what the topic's retention keeps no longer.
  mutating func reviewRetention(of name: TopicName, now: UInt64, _ actions: inout [LedgerAction]) {
    guard let topic = topics[name] else { return }
    let kept = topic.sealed.filter { segments[$0]?.state == .retained }
    guard !kept.isEmpty else { return }
    let window = Set(retentionWindow(of: name, now: now))
    for id in kept where !window.contains(id) { reclaim(id, now: now, &actions) }
  }

  /// When the topic's age limit ends for a segment; nil if it has none.
  private func retentionDeadline(of segment: SegmentRecord, in topic: TopicRecord) -> UInt64? {
    topic.retention.age.map { segment.completedAt.addingClamped($0.wholeNanoseconds) }
  }

  /// When the next segment comes of age.
  var nextRetentionDeadline: UInt64? {
    aging.compactMap { name -> UInt64? in
      guard let topic = topics[name], let oldest = topic.sealed.first(where: { segments[$0]?.state == .retained }),
        let segment = segments[oldest]
      else { return nil }
      return retentionDeadline(of: segment, in: topic)
    }.min()
  }
}
