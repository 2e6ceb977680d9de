import PooledMemory
import Vocabulary

/// Writable room for several messages of one length, in the pool, published all at once.
///
/// Owned by one task at a time, and given up by publishing; a batch that is dropped unpublished costs nothing but its
/// room.
public struct LoanBatch: ~Copyable, Sendable {
  private let segment: LeasedSegment
  private let run: ReservationRun
  private var isPublished = false

  init(segment: LeasedSegment, run: ReservationRun) {
    self.segment = segment
    self.run = run
  }

  /// How many messages there is room for.
  public var count: Int { run.count }

  /// How many bytes each has.
  public var byteCount: Int { run.byteCount }

  /// A payload's room. It holds what was there before: write all that you publish.
  ///
  /// - Parameter index: which message; below ``count``.
  @_lifetime(&self)
  public mutating func mutableBytes(at index: Int) -> MutableRawSpan {
    // SAFETY: the batch is the run's one owner, and the span borrows the batch.
    let log = segment.log
    let span = unsafe log.mutableBytes(of: run, at: index)
    return unsafe _overrideLifetime(span, mutating: &self)
  }

  /// Publishes all messages, in order; the batch is gone.
  ///
  /// - Throws: ``BusError/closed`` if the publisher was closed meanwhile; nothing is published then.
  ///   ``BusError/nodeLost`` if the node has ended this client's connection; this message may have been the last.
  public consuming func publish() throws(BusError) {
    isPublished = true
    try segment.publisher.commit(run, in: segment)
  }

  deinit {
    if !isPublished { segment.publisher.cancel(run, in: segment) }
  }
}
