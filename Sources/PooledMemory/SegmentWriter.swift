import Platform
import Synchronization
import Vocabulary

/// A segment on the publisher's side: gives room to loans and appends them to the log in the order they are committed.
///
/// Not thread-safe: the publisher's lock confines every call. Only the bytes of different reservations may be written
/// by different threads at once; they are disjoint. No call allocates.
@safe
public final class SegmentWriter: @unchecked Sendable {
  // Unchecked: the publisher's lock confines `room`, and all else is constant.

  public let id: SegmentID
  private let mapping: Mapping
  private let file: OwnedDescriptor
  /// The memory file's descriptor, kept as long as the memory is mapped, to be given to a later node.
  public var descriptor: CInt { file.raw }
  // One value rather than many properties: each access to a class's variable is checked for exclusivity as it runs.
  private var room: SegmentRoom

  /// The segment's length in bytes, header and slots included.
  public let capacity: Int
  /// The segment, and which of its lives this is.
  public var identity: SegmentIdentity { SegmentIdentity(id: id, epoch: room.epoch) }
  /// How many messages are in the log.
  public var committed: UInt32 { room.committed }
  /// How many reservations are neither committed nor cancelled.
  public var outstanding: UInt32 { room.outstanding }
  public var isSealed: Bool { room.isSealed }
  /// Bytes that no message and no loan has taken yet.
  public var freeByteCount: Int { room.freeByteCount }

  /// Maps a leased segment and begins its life at `identity.epoch`.
  ///
  /// - Parameters:
  ///   - descriptor: the segment's memory file, open for writing; kept.
  ///   - onUnmap: called when the memory has been unmapped, on whichever thread let go of it last.
  /// - Throws: ``MemoryError``, if the file is not a segment of this capacity, or can't be mapped for writing.
  public init(
    mapping descriptor: consuming OwnedDescriptor, capacity: Int, identity: SegmentIdentity,
    onUnmap: (@Sendable () -> Void)? = nil
  ) throws(MemoryError) {
    id = identity.id
    self.capacity = capacity
    try requireSealedFile(descriptor, byteCount: capacity, subject: "\(id)")
    mapping = try Mapping.map(
      descriptor, byteCount: capacity, access: .write, populate: true, subject: "\(id)", onUnmap: onUnmap)
    file = descriptor
    room = SegmentRoom(capacity: capacity, epoch: identity.epoch)
    try mapping.requireSegmentHeader(subject: "\(id)")
    begin(epoch: identity.epoch)
  }

  /// How many subscriptions had joined the stream, by the node's word, once all that was committed so far could be seen
  /// by a subscription that joins.
  ///
  /// A subscription that joins needs what is committed from then on. The node notes it here, fences, and looks at what is
  /// committed; the publisher commits, fences, and looks here. So of a join and the last commit before this look, either
  /// the join is counted here, or the commit is before what the joining subscription needs.
  public var joins: UInt64 {
    WakePage.fence()
    // SAFETY: the word lies in the header page.
    return unsafe mapping.words(at: SegmentLayout.joinsOffset).pointee.load(ordering: .relaxed)
  }

  /// Whether the node takes nothing more of this publisher's, as it has ended its connection.
  ///
  /// The node notes it here, fences, and looks at what is committed: that is what readers are given. The publisher
  /// commits, calls ``WakePage/fence()``, and looks here. So each message is either among what the node saw, or its
  /// publisher learns that it may not be; it is both if the two come together.
  public var isClosed: Bool {
    // SAFETY: the word lies in the header page.
    unsafe mapping.words(at: SegmentLayout.closedOffset).pointee.load(ordering: .relaxed) != 0
  }

  /// Begins a new life with an empty log; nothing may be outstanding.
  ///
  /// Readers of the life before find an empty log, as both shared words name the epoch they speak of.
  ///
  /// - Parameter lastSequence: the last message that the publisher has committed anywhere: what follows is after it.
  public func begin(epoch: UInt32, after lastSequence: UInt64 = 0) {
    precondition(room.outstanding == 0, "a segment was recycled while loans were out")
    room = SegmentRoom(capacity: capacity, epoch: epoch)
    // SAFETY: the words lie in the header page.
    unsafe mapping.words(at: SegmentLayout.baseOffset).pointee.store(lastSequence, ordering: .relaxed)
    let word = EpochCount(epoch: epoch, count: 0).word
    unsafe mapping.words(at: SegmentLayout.committedOffset).pointee.store(word, ordering: .releasing)
    // Who sees a slot of the new life, or one that is cleared for it, and looks again, sees the new epoch.
    atomicMemoryFence(ordering: .releasing)
    clearSpareSlots()
    // Releasing: who sees that it is open sees no slot of an earlier life behind the last message.
    // SAFETY: the word lies in the header page.
    unsafe mapping.words(at: SegmentLayout.sealedOffset).pointee.store(word, ordering: .releasing)
  }

  /// Takes room for one message, and copies its attributes there.
  ///
  /// - Parameters:
  ///   - byteCount: the payload's length, 0 or more.
  ///   - alignment: a power of two up to 2 MiB; what is below 64 counts as 64. It holds for the payload's address here
  ///     and in every reader. Above 4096 it needs a segment of at least 2 MiB.
  ///   - attributes: the encoded attributes.
  /// - Returns: nil if the room does not suffice, the segment is sealed, or the alignment is not allowed.
  public func reserve(byteCount: Int, alignment: Int, attributes: Span<UInt8>) -> Reservation? {
    guard
      let reservation = room.reserve(
        byteCount: byteCount, alignment: alignment, attributesByteCount: attributes.count)
    else { return nil }
    if attributes.count > 0 {
      // SAFETY: the reservation is within the mapping, and its attributes are as long as these.
      unsafe attributes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(start: mapping.base + reservation.attributesOffset, count: source.count)
          .copyMemory(from: source)
      }
    }
    return reservation
  }

  /// Takes room for one message without attributes, at an alignment of 64; see ``reserve(byteCount:alignment:attributes:)``.
  public func reserve(byteCount: Int) -> Reservation? { room.reserve(byteCount: byteCount) }

  /// The room for a reservation's payload: whatever was there before, to be written before `commit`.
  ///
  /// Unsafe, as the span does not keep others from the same bytes: at any time there may be one span of a reservation,
  /// and none once it is committed or cancelled. A loan vouches for that. The reservation must be of this writer.
  @unsafe
  @_lifetime(borrow self)
  public func mutableBytes(of reservation: Reservation) -> MutableRawSpan {
    // SAFETY: `reserve` kept the range within the mapping, which lives as long as the writer.
    let span = unsafe MutableRawSpan(_unsafeStart: mapping.base + reservation.offset, byteCount: reservation.byteCount)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// The room as elements of a bit-copyable type; unsafe as ``mutableBytes(of:)`` is.
  ///
  /// The reservation must be of whole elements, aligned for them.
  @unsafe
  @_lifetime(borrow self)
  public func mutableElements<Element: BitwiseCopyable>(
    of reservation: Reservation, as type: Element.Type
  ) -> MutableSpan<Element> {
    let count = reservation.byteCount / MemoryLayout<Element>.stride
    precondition(
      reservation.offset % MemoryLayout<Element>.alignment == 0, "a reservation is not aligned for its elements")
    // SAFETY: as above; whole elements fit, their place is aligned, and nobody else knows a type for this memory.
    let start = unsafe (mapping.base + reservation.offset).bindMemory(to: Element.self, capacity: count)
    let span = unsafe MutableSpan<Element>(_unsafeStart: start, count: count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Appends a message to the log: from here on, readers see it.
  ///
  /// - Parameters:
  ///   - byteCount: the payload's final length; at most what was reserved.
  ///   - sequence: the message's number in its stream, from 1.
  ///   - publishTime: nanoseconds since 1970.
  ///   - elementStride: the stride of the payload's elements in bytes; 0 if it is untyped.
  ///   - isLast: seals the log as well; who sees the message sees by its slot that it is the last. Nothing else may be
  ///     outstanding.
  /// - Returns: the message's slot.
  @discardableResult
  public func commit(
    _ reservation: Reservation, byteCount: Int, sequence: UInt64, publishTime: UInt64, elementStride: UInt32,
    isLast: Bool = false
  ) -> UInt32 {
    precondition(byteCount >= 0 && byteCount <= reservation.byteCount, "a message outgrew its reservation")
    let (index, epoch) = room.commit()
    write(
      SlotEntry(
        sequence: sequence, offset: UInt64(reservation.offset), byteCount: UInt64(byteCount), publishTime: publishTime,
        attributesOffset: UInt64(reservation.attributesOffset),
        attributesByteCount: UInt32(reservation.attributesByteCount), elementStride: elementStride,
        isLast: isLast ? 1 : 0),
      at: index, epoch: epoch)
    let slot = announce(index + 1, epoch: epoch)
    // Behind the slot, which says by itself that it is the last: its reader need not wait for this word's cache line.
    if isLast { seal() } else { prepareNext(behind: reservation) }
    return slot
  }

  /// How many messages ahead of the next one its cache lines are asked for: fewer come too late in a fast stream, more gain
  /// nothing.
  private static let messagesAhead = 4

  /// Clears the second spare slot, as the first holds a message now, and asks for the cache lines that the next payload begins
  /// with, and those of a message some way ahead, if they are alike. Done after a message, so that the lines come while others
  /// are at work: who reads has the near ones beside them, and may have these by now; the far ones it had in an earlier life.
  private func prepareNext(behind last: Reservation) {
    clearSlot(at: room.committed + 1)
    let ahead = room.top + Self.messagesAhead * (room.top - last.offset)
    let slotAhead = SegmentLayout.slotOffset(
      of: room.committed &+ 1 &+ UInt32(Self.messagesAhead), inCapacity: capacity)
    // SAFETY: nothing is written; the addresses need not even be valid.
    unsafe prefetchForWriting(mapping.base + room.top)
    unsafe prefetchForWriting(mapping.base + ahead)
    unsafe prefetchForWriting(mapping.base + slotAhead)
  }

  /// Takes room for several messages of one length, without attributes; nil if it does not suffice for all.
  public func reserve(count: Int, byteCount: Int) -> ReservationRun? {
    room.reserve(count: count, byteCount: byteCount)
  }

  /// The room for one payload of a run; unsafe as ``mutableBytes(of:)-(Reservation)`` is.
  @unsafe
  @_lifetime(borrow self)
  public func mutableBytes(of run: ReservationRun, at index: Int) -> MutableRawSpan {
    // SAFETY: the caller vouches for it.
    unsafe mutableBytes(of: run[index])
  }

  /// Appends all messages of a run to the log at once; see ``commit(_:byteCount:sequence:publishTime:elementStride:isLast:)``.
  ///
  /// - Parameter sequence: the first message's number; the others follow.
  /// - Returns: the last message's slot.
  @discardableResult
  public func commit(_ run: ReservationRun, sequence: UInt64, publishTime: UInt64) -> UInt32 {
    let (first, epoch) = room.commit(run)
    clearSpareSlots()
    // Backwards: with the first slot, at which readers look, all are there.
    for index in stride(from: run.count - 1, through: 0, by: -1) {
      let place = run.offset + index * run.stride
      write(
        SlotEntry(
          sequence: sequence &+ UInt64(index), offset: UInt64(place), byteCount: UInt64(run.byteCount),
          publishTime: publishTime, attributesOffset: UInt64(place), attributesByteCount: 0, elementStride: 0,
          run: UInt32(run.count - index)),
        at: first + UInt32(index), epoch: epoch)
    }
    return announce(room.committed, epoch: epoch)
  }

  /// Gives up a run of reservations, as ``cancel(_:)-(Reservation)`` does.
  public func cancel(_ run: ReservationRun) { room.cancel(run) }

  /// Writes a slot: if it is the one behind the last message, its message is committed.
  @inline(__always)
  private func write(_ entry: consuming SlotEntry, at index: UInt32, epoch: UInt32) {
    entry.checksum = entry.expectedChecksum(at: index, epoch: epoch)
    // SAFETY: `reserve` kept room for the slots of all that is committed or outstanding, and this is one of those.
    unsafe entry.store(to: mapping.words(at: SegmentLayout.slotOffset(of: index, inCapacity: capacity)))
  }

  /// Clears the slots behind the last message, in which there may be what an earlier life left.
  private func clearSpareSlots() {
    for spare in 0..<UInt32(SegmentLayout.spareSlotCount) { clearSlot(at: room.committed + spare) }
  }

  private func clearSlot(at index: UInt32) {
    // SAFETY: `reserve` kept room for the spare slots; no segment is too small for them.
    let words = unsafe mapping.words(at: SegmentLayout.slotOffset(of: index, inCapacity: capacity))
    // Nobody looks before a releasing store that follows.
    unsafe words.pointee.store(0, ordering: .relaxed)
  }

  /// Counts what is committed, for those who do not look at each slot; returns the last.
  private func announce(_ count: UInt32, epoch: UInt32) -> UInt32 {
    // Releasing: whoever acquires this word sees the slots and the payloads of all messages it counts.
    let word = EpochCount(epoch: epoch, count: count).word
    // SAFETY: the word lies in the header page.
    unsafe mapping.words(at: SegmentLayout.committedOffset).pointee.store(word, ordering: .releasing)
    return count - 1
  }

  /// Gives up a reservation. Its room comes back if it was the last taken; else it stays unused in this life.
  public func cancel(_ reservation: Reservation) {
    room.cancel(reservation)
  }

  /// Ends the log: readers that have come to its end know that nothing follows. Nothing may be outstanding.
  public func seal() {
    room.seal()
    // One more than the count, which leaves 0 for "open"; the count is below UInt32.max by maximumSlotCount.
    let word = EpochCount(epoch: room.epoch, count: room.committed + 1).word
    // Releasing: who sees the seal sees all that was committed.
    // SAFETY: the word lies in the header page.
    unsafe mapping.words(at: SegmentLayout.sealedOffset).pointee.store(word, ordering: .releasing)
  }
}
