import Vocabulary

// What the ledger does if it is ever wrong: it leases nothing more, and tells its last steps. What is published already
// flows on, for that needs no new memory.

/// A change of where bytes are counted; nil is free.
public struct LedgerStep: Equatable, Sendable, CustomStringConvertible {
  public var segment: SegmentIdentity
  public var stream: StreamID
  public var bytes: UInt64
  public var from: SegmentState?
  public var to: SegmentState?
  /// The latest time that the ledger had been told.
  public var time: UInt64

  public var description: String {
    func name(_ state: SegmentState?) -> String { state.map { "\($0)" } ?? "free" }
    return "at \(time) ns \(segment) of \(stream), \(bytes) bytes: from \(name(from)) to \(name(to))"
  }
}

/// The last steps: a ring, so that noting one costs a store.
struct RecentSteps: Sendable {
  static let limit = 64

  private var ring: [LedgerStep] = []
  private var oldest = 0

  mutating func note(_ step: LedgerStep) {
    if ring.count < Self.limit {
      ring.append(step)
    } else {
      ring[oldest] = step
      oldest = (oldest + 1) % Self.limit
    }
  }

  /// Oldest first.
  var all: [LedgerStep] { Array(ring[oldest...] + ring[..<oldest]) }
}

extension Ledger {
  /// The last changes of where bytes are counted, oldest first.
  public var lastSteps: [LedgerStep] { steps.all }

  mutating func note(_ segment: SegmentRecord, from: SegmentState?, to: SegmentState?) {
    steps.note(
      LedgerStep(
        segment: segment.identity, stream: segment.stream, bytes: segment.capacity, from: from, to: to, time: clock))
  }

  /// Looks whether the books still sum; once they did not, every lease is refused from then on.
  ///
  /// Called before any lease is served, as memory that is counted wrongly must not be given out.
  mutating func refuseIfOutOfBalance(_ actions: inout [LedgerAction]) {
    if !isConserved { isOutOfBalance = true }
    guard isOutOfBalance else { return }
    for lease in waiting { actions.append(.refuse(lease: lease.id, .outOfBalance)) }
    waiting = []
  }
}
