import Vocabulary

// What happens because time passes.

extension Ledger {
  /// Time has passed: leases that waited too long are refused, retained segments come of age, and what holders have not
  /// unmapped in time is no longer counted on.
  public mutating func advance(to now: UInt64) -> [LedgerAction] {
    var actions: [LedgerAction] = []
    if let deadline = nextRetentionDeadline, deadline <= now {
      for topic in aging.sorted() { reviewRetention(of: topic, now: now, &actions) }
    }
    guard !waiting.isEmpty || !actions.isEmpty else { return [] }
    return settle(actions, now: now)
  }

  /// When ``advance(to:)`` is to be called next; nil if only events matter.
  public var nextDeadline: UInt64? {
    var next = nextRetentionDeadline
    func consider(_ time: UInt64?) {
      if let time { next = min(next ?? .max, time) }
    }
    if !awaited.isEmpty { consider(nextAwaitedDeadline) }
    for lease in waiting { consider(lease.deadline) }
    if !waiting.isEmpty {
      for id in pinned {
        guard let end = segments[id]?.stateSince.addingClamped(Limits.unmapGrace), end > clock else { continue }
        consider(end)
      }
    }
    return next
  }
}
