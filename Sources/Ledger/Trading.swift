import Vocabulary

// Who evicts does not wait behind who waits: it gives memory of its own topic for as much. What is free, or comes back from
// others, stays with those ahead.

/// What a lease that stands behind others has taken from its own topic, to have as much.
struct Trade: Sendable {
  /// What was taken and is not back.
  var taken: [SegmentID] = []
  /// Bytes of it that have come back to the pool.
  var returned: UInt64 = 0
}

extension Ledger {
  /// Serves those whose own memory has come back, ahead of all others, who have no claim to it.
  mutating func completeTrades(now: UInt64, _ actions: inout [LedgerAction]) {
    var index = 0
    while index < waiting.count {
      if completeTrade(at: index, now: now, &actions) { waiting.remove(at: index) } else { index += 1 }
    }
  }

  /// Takes its own topic's oldest segments for a lease that stands behind others, if they are enough.
  ///
  /// - Parameter bound: what those wait for; only what counts towards it helps.
  /// - Returns: whether it was served.
  mutating func trade(
    at index: Int, within bound: Room.Bound, now: UInt64, _ actions: inout [LedgerAction]
  ) -> Bool {
    let lease = waiting[index]
    let own = (topics[lease.topic]?.sealed ?? []).compactMap { segments[$0] }.filter {
      counts($0.stream, towards: bound)
    }
    // What its holders keep mapped for too long is not counted on, and more is taken.
    let coming = lease.trade.taken.compactMap { segments[$0] }.filter { isComing($0, now: now) }
    var bytes = coming.reduce(lease.trade.returned) { $0 + $1.capacity }
    let most = own.reduce(bytes) { $0 + $1.capacity }
    // With nothing of its own to give it waits like the others.
    guard most >= lease.minimum else { return false }
    waiting[index].capacity = min(lease.capacity, most / lease.minimum * lease.minimum)
    for segment in own where bytes < waiting[index].capacity {
      segments[segment.id]?.tradedFor = lease.id
      waiting[index].trade.taken.append(segment.id)
      bytes += segment.capacity
      evict(segment.id, now: now, &actions)
    }
    return completeTrade(at: index, now: now, &actions)
  }

  private mutating func completeTrade(at index: Int, now: UInt64, _ actions: inout [LedgerAction]) -> Bool {
    let lease = waiting[index]
    guard lease.trade.returned >= lease.capacity else { return false }
    guard room(for: lease).isEnough else {
      // It came back in parts, and who is ahead had enough with one of them.
      waiting[index].trade.returned = 0
      return false
    }
    create(for: lease, now: now, &actions)
    return true
  }

  /// Memory that was taken for a lease is back.
  mutating func noteReturn(of segment: SegmentRecord) {
    guard let lease = segment.tradedFor, let index = waiting.firstIndex(where: { $0.id == lease }) else { return }
    waiting[index].trade.taken.removeAll { $0 == segment.id }
    waiting[index].trade.returned += segment.capacity
  }
}
