import Vocabulary

// The reclaimer: complete segments, released by all they were promised to, are kept, reused or taken back.

extension Ledger {
  /// The publisher has sealed a segment, which it may have renewed since it was leased.
  public mutating func seal(_ id: SegmentID, _ end: LogEnd, now: UInt64) -> [LedgerAction] {
    guard let segment = segments[id], segment.epoch <= end.epoch, segment.state == .leased else { return [] }
    var actions: [LedgerAction] = []
    complete(id, end, now: now, &actions)
    // Who has acknowledged it goes on, and who was not handed it, as it was not reported ready, is now.
    for subscription in segment.promises.keys.sorted() {
      handNext(segment.stream, to: subscription, now: now, &actions)
    }
    return settle(actions, now: now)
  }

  /// The segment is complete: from here on only releases matter. The caller hands on to those whom that lets go on.
  mutating func complete(_ id: SegmentID, _ end: LogEnd, now: UInt64, _ actions: inout [LedgerAction]) {
    guard let leased = segments[id] else { return }
    segments[id]?.epoch = max(end.epoch, leased.epoch)
    for subscription in end.acknowledged.sorted() { void(id, for: subscription) }
    guard let segment = segments[id] else { return }
    let slots = end.slots
    segments[id]?.slots = slots
    segments[id]?.completedAt = now
    let event = nextEvent()
    segments[id]?.completion = event
    let promised = segment.promises.keys.sorted()
    if slots == 0 {
      // Nothing to read: nobody needs to release it.
      for subscription in promised {
        if segment.handed.contains(subscription) {
          segments[id]?.isForced = true
          actions.append(.tellSealed(segment.identity, to: subscription, stream: segment.stream, slots: 0))
        }
        void(id, for: subscription)
        handNext(segment.stream, to: subscription, now: now, &actions)
      }
      counters.segmentsReclaimed += 1
      takeBack(id, now: now, &actions)
      return
    }
    // What its publisher wrote before it could say so is there to be read.
    segments[id]?.isReady = true
    move(id, to: .sealed, now: now)
    for subscription in promised {
      count(id, inBacklogOf: subscription, by: +1)
      if segment.handed.contains(subscription) {
        actions.append(.tellSealed(segment.identity, to: subscription, stream: segment.stream, slots: slots))
      }
    }
    for subscription in promised { enforceBacklog(of: subscription, now: now, &actions) }
    reviewRetention(of: segment.topic, now: now, &actions)
    reclaimIfReleased(id, now: now, &actions)
  }

  /// What becomes of a complete segment when nobody is promised it any more.
  mutating func reclaimIfReleased(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
    var windows: [TopicName: Set<SegmentID>] = [:]
    reclaimIfReleased(id, &windows, now: now, &actions)
  }

  /// The same for one of many.
  mutating func reclaimIfReleased(
    _ id: SegmentID, _ windows: inout [TopicName: Set<SegmentID>], now: UInt64, _ actions: inout [LedgerAction]
  ) {
    guard let segment = segments[id], segment.state == .sealed, segment.promises.isEmpty else { return }
    if retentionWindow(of: segment.topic, &windows, now: now).contains(id) {
      move(id, to: .retained, now: now)
    } else {
      reclaim(id, now: now, &actions)
    }
  }

  /// Nobody needs what the segment holds: its publisher gets the memory again, or the pool.
  mutating func reclaim(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
    guard let segment = segments[id], let stream = streams[segment.stream] else { return }
    counters.segmentsReclaimed += 1
    let canRecycle =
      !stream.isClosed && !segment.isForced && !segment.isAdopted && segment.mappings[.publisher(stream.id)] != nil
      && segment.epoch < .max
    if canRecycle, !isWanted(stream.id) || waiting.contains(where: { fits(segment, $0) }) {
      move(id, to: .warm, now: now)
      // The stream's latest segments are of the size that it needs now.
      if stream.warm.count >= Limits.warmSegmentsPerStream, let oldest = stream.warm.first {
        takeBack(oldest, now: now, &actions)
      }
    } else {
      takeBack(id, now: now, &actions)
    }
  }

  /// The memory goes back to the pool as soon as nobody maps it.
  mutating func takeBack(_ id: SegmentID, now: UInt64, _ actions: inout [LedgerAction]) {
    guard let segment = segments[id], segment.state != .pinned else { return }
    move(id, to: .pinned, now: now)
    for holder in segment.mappings.keys.sorted() { actions.append(.forget(id, holder)) }
    destroyIfUnmapped(id, &actions)
  }

  mutating func destroyIfUnmapped(_ id: SegmentID, _ actions: inout [LedgerAction]) {
    guard let segment = segments[id], segment.state == .pinned, segment.mappings.isEmpty else { return }
    actions.append(.destroy(id))
    remove(id)
  }

  /// Takes a segment that is pinned, or was never made, out of the books; its bytes are free.
  mutating func remove(_ id: SegmentID) {
    guard let segment = segments.removeValue(forKey: id) else { return }
    usage[segment.state] &-= segment.capacity
    usage.free &+= segment.capacity
    note(segment, from: segment.state, to: nil)
    payBack()
    noteReturn(of: segment)
    pinned.remove(id)
    topics[segment.topic]?.bytes -= segment.capacity
    uncountForUser(segment)
    if let topic = topics[segment.topic] {
      topics[segment.topic]?.adoptedCeiling = min(topic.adoptedCeiling, topic.bytes)
    }
    topics[segment.topic]?.sealed.removeAll { $0 == id }
    streams[segment.stream]?.segments.removeAll { $0 == id }
    forgetIfOver(segment.stream)
  }
}
