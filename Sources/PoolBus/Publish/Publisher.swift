import BusProtocol
import Platform
import PooledMemory
import Vocabulary

/// Publishes messages on one topic, in one stream. Safe to use from several tasks.
///
/// Closed when it is let go: what was published stays until everybody has read it.
public final class Publisher: Sendable {
  let core: PublisherCore

  init(_ core: PublisherCore) { self.core = core }

  deinit { core.close() }

  public var topic: TopicName { core.topic }
  public var stream: StreamID { core.stream }

  /// Room for a payload, to be written in place. Waits, fails or evicts by the publisher's policy if the pool is full.
  ///
  /// - Parameters:
  ///   - byteCount: bytes of the payload; from 0 to as large as the pool, the topic's quota, or a segment of 256 GiB.
  ///   - alignment: a power of two up to 2 MiB; at least 64 is given.
  /// - Throws: ``BusError``; `CancellationError` as soon as the task is cancelled.
  public func loan(byteCount: Int, alignment: Int = 64) async throws -> Loan {
    if let (segment, reservation) = core.reserveAtHand(byteCount: byteCount, alignment: alignment) {
      return Loan(segment: segment, reservation: reservation)
    }
    return try await loan(byteCount: byteCount, alignment: alignment, attributes: .none)
  }

  /// Room for a payload, and for what the message says about it; see ``loan(byteCount:alignment:)``.
  public func loan(
    byteCount: Int, alignment: Int = 64, attributes: MessageAttributes
  ) async throws -> Loan {
    if attributes.isEmpty,
      let (segment, reservation) = core.reserveAtHand(byteCount: byteCount, alignment: alignment)
    {
      return Loan(segment: segment, reservation: reservation)
    }
    let wish = try core.wish(byteCount: byteCount, alignment: alignment, attributes: attributes)
    let (segment, reservation) = try await room(for: wish) { wish.reserve(in: $0) }
    return Loan(segment: segment, reservation: reservation)
  }

  /// Room for a payload if it is to be had without waiting, or else nil: the room is asked for, or readers may be about to
  /// make some; try again.
  ///
  /// Throws as ``loan(byteCount:alignment:)``.
  public func tryLoan(byteCount: Int, alignment: Int = 64) throws(BusError) -> Loan? {
    if let (segment, reservation) = core.reserveAtHand(byteCount: byteCount, alignment: alignment) {
      return Loan(segment: segment, reservation: reservation)
    }
    return try tryLoan(byteCount: byteCount, alignment: alignment, attributes: .none)
  }

  /// Room for a payload, and for what the message says about it; see ``tryLoan(byteCount:alignment:)``.
  public func tryLoan(
    byteCount: Int, alignment: Int = 64, attributes: MessageAttributes
  ) throws(BusError) -> Loan? {
    let wish = try core.wish(byteCount: byteCount, alignment: alignment, attributes: attributes)
    guard case .reserved(let segment, let reservation) = try core.attempt(wish, { wish.reserve(in: $0) }) else {
      return nil
    }
    return Loan(segment: segment, reservation: reservation)
  }

  /// Room for `count` messages of `byteCount` bytes each, which are published all at once: for many small messages, as
  /// they share one commit, one look at the clock and one handle.
  ///
  /// - Throws: as ``loan(byteCount:alignment:)``; all of them must fit one segment.
  public func loanBatch(count: Int, byteCount: Int) async throws -> LoanBatch {
    let wish = try core.wish(count: count, byteCount: byteCount)
    let (segment, run) = try await room(for: wish) { $0.reserve(count: count, byteCount: byteCount) }
    return LoanBatch(segment: segment, run: run)
  }

  /// Room for `count` elements of a bit-copyable type; readers can check what they read them as.
  ///
  /// Throws as ``loan(byteCount:alignment:)``.
  public func loan<Element: BitwiseCopyable>(
    of element: Element.Type, count: Int, attributes: MessageAttributes = .none
  ) async throws -> TypedLoan<Element> {
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard count >= 0, !overflow else { throw BusError.invalidCount(count) }
    let loan = try await loan(
      byteCount: byteCount, alignment: max(64, MemoryLayout<Element>.alignment), attributes: attributes)
    return TypedLoan(loan)
  }

  /// Publishes bytes that exist already, by copying them into the pool once.
  ///
  /// Throws as ``loan(byteCount:alignment:)`` and ``Loan/publish()``.
  public func publish(copying bytes: [UInt8], attributes: MessageAttributes = .none) async throws {
    var loan = try await loan(byteCount: bytes.count, attributes: attributes)
    loan.mutableBytes.copy(from: bytes.span)
    try loan.publish()
  }

  /// Publishes a text as UTF-8, by copying it into the pool once. Throws as ``publish(copying:attributes:)-([UInt8],_)``.
  public func publish(copying text: String, attributes: MessageAttributes = .none) async throws {
    try await publish(copying: Array(text.utf8), attributes: attributes)
  }

  /// Ends the stream: loans that are out can't be published any more; subscribers read on to the last message.
  public func close() { core.close() }

  /// Room for the wish, once there is some; see ``PublisherCore/attempt(_:_:)``.
  private func room<Room: Sendable>(
    for wish: PublisherCore.Wish, _ reserve: (SegmentWriter) -> Room?
  ) async throws -> (LeasedSegment, Room) {
    // Of the whole loan, however often it has to ask.
    var deadline: UInt64?
    while true {
      switch try core.attempt(wish, reserve) {
      case .reserved(let segment, let room): return (segment, room)
      case .awaitsReaders: await letReadersRun(for: wish)
      case .awaits(let request, let isOwn):
        deadline = deadline ?? core.deadline
        try await core.awaitLease(request, isOwn: isOwn, until: deadline)
      }
    }
  }

  /// Waits for readers: a moment, as most are about to be done, and then gives the core to those in other processes, and now
  /// and then the thread to those in this one.
  private func letReadersRun(for wish: PublisherCore.Wish) async {
    for look in 0..<128 {
      if look < 4 {
        for _ in 0..<32 { spinHint() }
      } else {
        yieldCore()
      }
      if core.readersAreDone(for: wish) { return }
    }
    await Task.yield()
  }
}
