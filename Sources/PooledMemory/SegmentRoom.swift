/// The room of one life of a segment: what loans took, and what the log holds. Arithmetic only; it sees no memory.
struct SegmentRoom {
  let capacity: Int
  let epoch: UInt32
  /// How many messages are in the log.
  private(set) var committed: UInt32 = 0
  /// How many reservations are neither committed nor cancelled.
  private(set) var outstanding: UInt32 = 0
  private(set) var isSealed = false

  /// Where the room begins, as an offset; all below it is taken.
  private(set) var top = SegmentLayout.headerByteCount
  /// Where the room ends: behind it are the slots of what is committed and of loans that are out, and the spare ones.
  private var bottom: Int

  /// - Parameter capacity: one that ``SegmentLayout/allows(capacity:)``.
  init(capacity: Int, epoch: UInt32) {
    self.capacity = capacity
    self.epoch = epoch
    bottom = capacity - SegmentLayout.spareByteCount
  }

  mutating func reserve(byteCount: Int, alignment: Int, attributesByteCount: Int) -> Reservation? {
    guard SegmentLayout.allows(alignment: alignment),
      capacity >= SegmentLayout.smallestCapacity(aligning: alignment),
      attributesByteCount <= SegmentLayout.maximumAttributesByteCount
    else { return nil }
    return take(
      byteCount, attributesByteCount: attributesByteCount, alignment: max(alignment, SegmentLayout.minimumAlignment))
  }

  /// Room for a message without attributes, at the usual alignment: the way of nearly every message.
  mutating func reserve(byteCount: Int) -> Reservation? {
    take(byteCount, attributesByteCount: 0, alignment: SegmentLayout.minimumAlignment)
  }

  @inline(__always)
  private mutating func take(_ byteCount: Int, attributesByteCount: Int, alignment: Int) -> Reservation? {
    // No sum here overflows: each term is at most a capacity. What the caller asks for is compared with differences,
    // never added.
    let end = bottom - SegmentLayout.slotByteCount
    let offset = SegmentLayout.roundUp(top, to: alignment)
    guard !isSealed, byteCount >= 0, offset <= end, byteCount <= end - offset,
      attributesByteCount <= end - offset - byteCount
    else { return nil }

    let reservation = Reservation(
      offset: offset, byteCount: byteCount, attributesByteCount: attributesByteCount, padding: offset - top)
    top = reservation.end
    bottom = end
    outstanding += 1
    return reservation
  }

  /// Room for several messages of one length, one behind the other; nil if it does not suffice for all.
  mutating func reserve(count: Int, byteCount: Int) -> ReservationRun? {
    guard count > 0, byteCount >= 0, byteCount <= capacity else { return nil }
    let stride = SegmentLayout.roundUp(max(byteCount, 1), to: SegmentLayout.minimumAlignment)
    guard !isSealed, count <= capacity / stride else { return nil }
    let end = bottom - count * SegmentLayout.slotByteCount
    let offset = SegmentLayout.roundUp(top, to: SegmentLayout.minimumAlignment)
    guard offset <= end, count * stride <= end - offset else { return nil }

    let run = ReservationRun(offset: offset, stride: stride, byteCount: byteCount, count: count, previousTop: top)
    top = run.end
    bottom = end
    outstanding += UInt32(count)
    return run
  }

  var freeByteCount: Int { max(0, bottom - top) }

  /// Turns one reservation into the next slot, and tells which that is.
  mutating func commit() -> (index: UInt32, epoch: UInt32) {
    precondition(outstanding > 0, "a reservation was committed twice")
    let index = committed
    outstanding -= 1
    committed += 1
    return (index, epoch)
  }

  /// Turns a run of reservations into the next slots, and tells the first.
  mutating func commit(_ run: ReservationRun) -> (index: UInt32, epoch: UInt32) {
    precondition(outstanding >= UInt32(run.count), "a reservation was committed twice")
    let index = committed
    outstanding -= UInt32(run.count)
    committed += UInt32(run.count)
    return (index, epoch)
  }

  mutating func cancel(_ run: ReservationRun) {
    precondition(outstanding >= UInt32(run.count), "a reservation was cancelled twice")
    outstanding -= UInt32(run.count)
    bottom += run.count * SegmentLayout.slotByteCount
    if run.end == top { top = run.previousTop }
  }

  mutating func cancel(_ reservation: Reservation) {
    precondition(outstanding > 0, "a reservation was cancelled twice")
    outstanding -= 1
    bottom += SegmentLayout.slotByteCount
    if reservation.end == top { top = reservation.previousTop }
  }

  mutating func seal() {
    precondition(outstanding == 0, "a segment was sealed while loans were out")
    isSealed = true
  }
}

/// Room for one message in a segment: a place, which says nothing about who may use it; a loan does.
public struct Reservation: Sendable {
  /// Where the payload starts in the segment.
  let offset: Int
  /// The payload's room in bytes.
  public let byteCount: Int
  /// The length of the attributes below; above, what the payload's alignment left unused before it. Each is less than 2^32.
  /// Three whole words in all go in registers, and in memory are read as they were written.
  private let around: UInt64

  fileprivate init(offset: Int, byteCount: Int, attributesByteCount: Int, padding: Int) {
    self.offset = offset
    self.byteCount = byteCount
    around = UInt64(truncatingIfNeeded: padding) << 32 | UInt64(truncatingIfNeeded: attributesByteCount)
  }

  /// The length of the attributes, which are written already.
  public var attributesByteCount: Int { Int(around & 0xFFFF_FFFF) }
  /// The attributes follow the payload's room.
  var attributesOffset: Int { offset + byteCount }
  var end: Int { attributesOffset + attributesByteCount }
  /// Where the room began before this.
  fileprivate var previousTop: Int { offset - Int(around >> 32) }
}

/// Room for several messages of one length in a segment.
public struct ReservationRun: Sendable {
  let offset: Int
  /// From one payload's start to the next one's.
  let stride: Int
  /// Each payload's room in bytes.
  public let byteCount: Int
  public let count: Int
  let previousTop: Int

  var end: Int { offset + count * stride }

  /// One of them; the index must be below ``count``.
  subscript(index: Int) -> Reservation {
    precondition(index >= 0 && index < count, "a batch has \(count) messages")
    return Reservation(
      offset: offset + index * stride, byteCount: byteCount, attributesByteCount: 0, padding: 0)
  }
}
