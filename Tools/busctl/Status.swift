import ArgumentParser
import PoolBus
import ToolSupport

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows the pool by ledger state, which sums to the contribution, and what has happened in it.",
    discussion: "Exits with 1 if the states do not sum to the contribution: that is a bug of the node.")

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "status")
    let pool = snapshot.pool
    let states = PoolState.all(of: snapshot)
    let sum = states.reduce(UInt64(0)) { $0 &+ $1.bytes }
    if listing.json {
      try Console.print(JSON.pretty(pool))
    } else {
      try Console.print(text(snapshot, states: states + [PoolState(name: "sum", bytes: sum, segments: nil)]))
    }
    guard sum == pool.contribution else {
      throw Failure(
        "the states sum to \(sum) bytes, not to the contribution: this is a bug of the node, please report it")
    }
  }

  private func text(_ snapshot: PoolSnapshot, states: [PoolState]) -> String {
    let pool = snapshot.pool
    let publishers = snapshot.streams.count { $0.client != nil }
    let table = Table.text(
      states,
      columns: [
        .text("STATE") { $0.name },
        .number("BYTES") { $0.bytes },
        .number("SIZE") { ByteSize($0.bytes) },
        .number("SHARE") { "\((Double($0.bytes) / Double(max(pool.contribution, 1)) * 1000).rounded() / 10) %" },
        .number("SEGMENTS") { $0.segments?.description ?? "" },
      ])
    return """
      \(table)

      contribution  \(pool.contribution) bytes
      segments      \(pool.segmentsLeased) leased, \(pool.segmentsRecycled) recycled warm, \
      \(pool.segmentsReclaimed) reclaimed since the node started
      messages      \(pool.messagesLagged) lagged
      waiting       \(counted(pool.waitingLeases, "publisher")) for memory
      bus           \(counted(snapshot.clients.count, "client")), \(counted(snapshot.topics.count, "topic")), \
      \(counted(publishers, "publisher")), \(counted(snapshot.subscriptions.count, "subscriber"))
      huge pages    \(EscapedText.line(pool.hugePages))
      node          pid \(pool.nodeProcessID), up \(age(pool.uptimeNanoseconds))
      """
  }
}

/// Bytes of the pool in one state of the ledger.
private struct PoolState {
  let name: String
  let bytes: UInt64
  /// Nil where there are none to count.
  let segments: Int?

  static func all(of snapshot: PoolSnapshot) -> [PoolState] {
    func state(_ state: SegmentState, _ bytes: UInt64) -> PoolState {
      PoolState(name: state.rawValue, bytes: bytes, segments: snapshot.segments.count { $0.state == state })
    }
    let pool = snapshot.pool
    return [
      state(.leased, pool.leased), state(.sealed, pool.sealed), state(.retained, pool.retained),
      state(.warm, pool.warm), state(.pinned, pool.pinned),
      PoolState(name: "free", bytes: pool.free, segments: nil),
    ]
  }
}
