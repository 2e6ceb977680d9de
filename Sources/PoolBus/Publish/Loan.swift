import PooledMemory
import Vocabulary

/// Writable room for one message, in the pool.
///
/// It is owned by one task at a time, and given up by publishing; a loan that is dropped unpublished costs nothing but
/// its room. Several may be out at once and be published in any order.
public struct Loan: ~Copyable, Sendable {
  // Four words with the reservation's three, which go in registers: a copy in memory costs as much as to make a loan.

  /// Nil once it is published.
  private var segment: LeasedSegment?
  fileprivate let reservation: Reservation

  init(segment: LeasedSegment, reservation: Reservation) {
    self.segment = segment
    self.reservation = reservation
  }

  fileprivate var log: SegmentWriter {
    guard let segment else { preconditionFailure("a loan is used after it was published") }
    return segment.log
  }

  /// How many bytes may be written.
  public var byteCount: Int { reservation.byteCount }

  /// The payload's room. It holds what was there before: write all that you publish.
  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // SAFETY: the loan is the reservation's one owner, and the span borrows the loan.
      let log = log
      let span = unsafe log.mutableBytes(of: reservation)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
    @_lifetime(&self)
    _modify {
      // SAFETY: as above.
      let log = log
      var span = unsafe log.mutableBytes(of: reservation)
      yield &span
    }
  }

  /// Publishes the payload; the loan is gone.
  ///
  /// - Throws: ``BusError/closed`` if the publisher was closed meanwhile; nothing is published then.
  ///   ``BusError/nodeLost`` if the node has ended this client's connection; this message may have been the last.
  public consuming func publish() throws(BusError) {
    try publish(byteCount: reservation.byteCount, elementStride: 0)
  }

  /// Publishes the first `byteCount` bytes of the room; the loan is gone.
  ///
  /// - Throws: ``BusError/beyondLoan(byteCount:loaned:)``; nothing is published then. Else as ``publish()``.
  public consuming func publish(byteCount: Int) throws(BusError) {
    guard byteCount >= 0, byteCount <= reservation.byteCount else {
      throw .beyondLoan(byteCount: byteCount, loaned: reservation.byteCount)
    }
    try publish(byteCount: byteCount, elementStride: 0)
  }

  @inline(__always)
  fileprivate consuming func publish(byteCount: Int, elementStride: UInt32) throws(BusError) {
    try segment.take()?.commit(reservation, byteCount: byteCount, elementStride: elementStride)
  }

  deinit {
    segment?.cancel(reservation)
  }
}

/// Writable room for a message of elements of one bit-copyable type.
public struct TypedLoan<Element: BitwiseCopyable>: ~Copyable, Sendable {
  private var loan: Loan

  init(_ loan: consuming Loan) { self.loan = loan }

  /// How many elements may be written.
  public var count: Int { loan.byteCount / MemoryLayout<Element>.stride }

  /// The elements' room. It holds what was there before: write all that you publish.
  public var elements: MutableSpan<Element> {
    @_lifetime(&self)
    mutating get { loan.elements(as: Element.self) }
    @_lifetime(&self)
    _modify {
      var span = loan.elements(as: Element.self)
      yield &span
    }
  }

  /// Publishes the elements; the loan is gone. Throws as ``Loan/publish()``.
  public consuming func publish() throws(BusError) {
    let byteCount = loan.byteCount
    try loan.publish(byteCount: byteCount, elementStride: UInt32(clamping: MemoryLayout<Element>.stride))
  }
}

extension Loan {
  @_lifetime(&self)
  fileprivate mutating func elements<Element: BitwiseCopyable>(as type: Element.Type) -> MutableSpan<Element> {
    // SAFETY: the room was loaned for whole elements at their alignment; the loan is its one owner, and the span borrows
    // the loan.
    let log = log
    let span = unsafe log.mutableElements(of: reservation, as: type)
    return unsafe _overrideLifetime(span, mutating: &self)
  }
}
