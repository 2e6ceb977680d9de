import PoolBus

/// What must be so of the node's books; pure.
enum Books {
  /// At any moment: every byte is in one state, and the segments are all there is.
  ///
  /// - Parameter mayBeBeyond: clients may have brought back more than the contribution.
  static func inconsistencies(
    _ books: PoolSnapshot, contribution: UInt64, mayBeBeyond: Bool = false
  ) -> [String] {
    let pool = books.pool
    var problems: [String] = []
    let sum = pool.free + pool.leased + pool.sealed + pool.retained + pool.warm + pool.pinned
    let isContributed =
      mayBeBeyond ? pool.contribution >= contribution : pool.contribution == contribution
    if sum != pool.contribution || !isContributed {
      problems.append(
        "the pool's states sum to \(sum) of \(pool.contribution) bytes, and \(contribution) are contributed")
    }
    for (state, bytes) in [
      (SegmentState.leased, pool.leased), (.sealed, pool.sealed), (.retained, pool.retained), (.warm, pool.warm),
      (.pinned, pool.pinned),
    ] {
      let listed = books.segments.filter { $0.state == state }.reduce(0) { $0 + $1.capacity }
      if listed != bytes { problems.append("the \(state) segments have \(listed) bytes, and the books say \(bytes)") }
    }
    return problems
  }

  /// When all is at rest: nobody but the living is in the books.
  static func leftovers(_ books: PoolSnapshot, living: Set<Int32>) -> [String] {
    let clients = Set(books.clients.filter { living.contains($0.processID) }.map(\.client))
    var problems: [String] = []
    for client in books.clients where !clients.contains(client.client) {
      problems.append("\(client.name) (process \(client.processID)) is dead and still a client")
    }
    for subscription in books.subscriptions where !clients.contains(subscription.client) {
      problems.append("\(subscription.subscription) is a dead client's")
    }
    for stream in books.streams {
      if let client = stream.client, !clients.contains(client) {
        problems.append("\(stream.stream) is a dead client's")
      }
    }
    for holder in books.holders {
      if let client = holder.client, !clients.contains(client) {
        problems.append("\(holder.segment) is held (\(holder.reason)) by \(client), which is dead")
      }
    }
    return problems
  }

  /// When everybody has left: all of the pool is free.
  static func remains(_ books: PoolSnapshot, contribution: UInt64) -> [String] {
    var problems: [String] = []
    if books.pool.contribution != contribution {
      problems.append("the pool has \(books.pool.contribution) bytes, and \(contribution) are contributed")
    }
    if books.pool.free != books.pool.contribution {
      problems.append(
        "\(books.pool.contribution - books.pool.free) bytes of the pool are still held: \(books.segments) \(books.holders)"
      )
    }
    if !books.streams.isEmpty { problems.append("streams are left: \(books.streams)") }
    if !books.subscriptions.isEmpty { problems.append("subscriptions are left: \(books.subscriptions)") }
    if books.pool.waitingLeases > 0 { problems.append("\(books.pool.waitingLeases) leases still wait") }
    return problems
  }
}
