import Platform
import Synchronization
import Vocabulary

/// One life of a segment on the subscriber's side, and the node's. Trusts nothing that it reads.
///
/// Any number of threads may use it. Whatever the publisher writes, no call reads outside of the mapping, and none
/// allocates but `sequences`.
public struct SegmentReader: Sendable {
  public let identity: SegmentIdentity
  public let mapping: ReadMapping
  private let maximumSlotCount: UInt32

  /// Reads one life of a segment that is mapped already.
  public init(mapping: ReadMapping, epoch: UInt32) {
    self.mapping = mapping
    identity = SegmentIdentity(id: mapping.id, epoch: epoch)
    maximumSlotCount = SegmentLayout.maximumSlotCount(inCapacity: mapping.capacity)
  }

  public var capacity: Int { mapping.capacity }

  /// How many messages the log holds; 0 if the segment is in another life. Never more than its capacity could hold.
  ///
  /// Acquiring: the slots below this count, and their payloads, are there to be read.
  public var committed: UInt32 { committedInThisLife ?? 0 }

  /// As ``committed``; nil if the segment is in another life.
  ///
  /// A message is committed by its slot; the word that counts them follows. Its publisher may be between the two, or have
  /// died there, so the slot behind those that are counted is looked at, too.
  public var committedInThisLife: UInt32? {
    guard let counted = mapping.committedWord.count(in: identity.epoch) else { return nil }
    guard counted < maximumSlotCount else { return maximumSlotCount }
    guard isOpen, claimedSequence(at: counted) > 0, let uncounted = try? entry(at: counted) else { return counted }
    return counted + min(uncounted.run, maximumSlotCount - counted)
  }

  /// Whether this life has begun as far as that a slot behind the last message is empty until its message is committed. It
  /// is, also, when the log has ended.
  ///
  /// Acquiring.
  public var isOpen: Bool { sealedWord.epoch == identity.epoch }

  private var sealedWord: EpochCount {
    // SAFETY: the word lies in the header page.
    EpochCount(word: unsafe mapping.mapping.words(at: SegmentLayout.sealedOffset).pointee.load(ordering: .acquiring))
  }

  /// What the publisher has said of its log at a moment; equal as long as it has said nothing more.
  public struct Progress: Hashable, Sendable {
    fileprivate let committed: UInt64
    fileprivate let sealed: UInt64
  }

  /// What the publisher has said so far, whatever life it speaks of. A look at anything else here after this one finds no
  /// less.
  public var progress: Progress {
    Progress(committed: mapping.committedWord.word, sealed: sealedWord.word)
  }

  /// How many messages the log will ever hold, or nil while it is open, or in another life.
  ///
  /// Acquiring: a look at ``committed`` after this one finds them all.
  public var sealedCount: UInt32? {
    guard let countPlusOne = sealedWord.count(in: identity.epoch), countPlusOne > 0 else { return nil }
    return min(countPlusOne - 1, maximumSlotCount)
  }

  /// Copies a slot and checks it.
  ///
  /// - Parameter index: below a ``committed`` that this thread has seen; any other slot is garbage, told as corrupt.
  /// - Throws: ``CorruptSegment``, naming the first field that can't be. If the segment is in another life by then, that
  ///   is all that is wrong with it.
  @inline(__always)
  public func slot(at index: UInt32) throws(CorruptSegment) -> Slot {
    Self.slot(try entry(at: index), at: index)
  }

  /// As ``slot(at:)``, of a slot that must have this sequence.
  @inline(__always)
  public func slot(at index: UInt32, sequence: UInt64) throws(CorruptSegment) -> Slot {
    Self.slot(try entry(at: index, sequence: sequence), at: index)
  }

  @inline(__always)
  private static func slot(_ entry: SlotEntry, at index: UInt32) -> Slot {
    Slot(
      sequence: entry.sequence, index: index, offset: entry.offset, byteCount: entry.byteCount,
      isLast: entry.isLast != 0)
  }

  /// A message's payload, where it lies, once its slot has been checked as by ``slot(at:sequence:)``.
  @_lifetime(borrow self)
  public func bytes(at index: UInt32, sequence: UInt64) throws(CorruptSegment) -> RawSpan {
    bytes(of: try slot(at: index, sequence: sequence))
  }

  /// As ``entry(at:)``, of a slot that must have this sequence.
  @inline(__always)
  private func entry(at index: UInt32, sequence: UInt64) throws(CorruptSegment) -> SlotEntry {
    let entry = try entry(at: index)
    guard entry.sequence == sequence else {
      throw corrupt(.sequence, of: index, value: entry.sequence, allowed: sequence...sequence)
    }
    return entry
  }

  /// A slot that is copied, and checked.
  @inline(__always)
  private func entry(at index: UInt32) throws(CorruptSegment) -> SlotEntry {
    guard index < maximumSlotCount else {
      throw corrupt(.index, of: index, value: UInt64(index), allowed: 0...UInt64(maximumSlotCount - 1))
    }
    let position = SegmentLayout.slotOffset(of: index, inCapacity: capacity)
    // SAFETY: below maximumSlotCount, a slot lies between the header and the end.
    let entry = unsafe SlotEntry(loadingFrom: mapping.mapping.words(at: position))

    let checksum = entry.expectedChecksum(at: index, epoch: identity.epoch)
    guard entry.checksum == checksum else {
      throw corrupt(.checksum, of: index, value: entry.checksum, allowed: checksum...checksum)
    }
    guard entry.sequence > 0 else { throw corrupt(.sequence, of: index, value: 0, allowed: 1...UInt64.max) }

    // Payload and attributes lie between the header and the slots. Differences of what has been checked, rather than
    // sums of what has not: a sum could overflow.
    let start = UInt64(SegmentLayout.headerByteCount)
    let end = UInt64(position)
    guard start <= entry.offset, entry.offset <= end else {
      throw corrupt(.offset, of: index, value: entry.offset, allowed: start...end)
    }
    let aligned = entry.offset & ~UInt64(SegmentLayout.minimumAlignment - 1)
    guard entry.offset == aligned else {
      throw corrupt(.offset, of: index, value: entry.offset, allowed: aligned...aligned)
    }
    guard entry.byteCount <= end - entry.offset else {
      throw corrupt(.byteCount, of: index, value: entry.byteCount, allowed: 0...end - entry.offset)
    }
    guard start <= entry.attributesOffset, entry.attributesOffset <= end else {
      throw corrupt(.attributesOffset, of: index, value: entry.attributesOffset, allowed: start...end)
    }
    let attributesByteCount = UInt64(entry.attributesByteCount)
    guard attributesByteCount <= end - entry.attributesOffset else {
      throw corrupt(
        .attributesByteCount, of: index, value: attributesByteCount, allowed: 0...end - entry.attributesOffset)
    }
    return entry
  }

  /// The slot behind the last message that was taken, as soon as it holds the one that is expected; nil if it does not
  /// within so many looks, or says what can't be: ``slot(at:)`` tells what is wrong.
  ///
  /// Asks meanwhile for the payload's first cache line, so that it comes beside the slot rather than behind.
  ///
  /// - Parameters:
  ///   - index: at most ``committed``; the life must be open, see ``isOpen``.
  ///   - sequence: more than 0.
  ///   - payload: where that payload probably lies: see ``Slot/following``.
  public func slot(at index: UInt32, holding sequence: UInt64, looks: Int, payload: Int) -> Slot? {
    let payload = min(max(payload, 0), capacity)
    for _ in 0..<looks {
      if claimedSequence(at: index) == sequence {
        // What is checked is what is used: a hostile publisher may have changed it since.
        guard let slot = try? slot(at: index), slot.sequence == sequence else { return nil }
        return slot
      }
      // SAFETY: nothing is read; the address need not even be valid.
      unsafe prefetch(mapping.mapping.base + payload)
      spinHint()
    }
    return nil
  }

  /// The sequence that a slot claims, unchecked: to see how far a run of messages may go before each is looked at.
  /// They rise from slot to slot, if the publisher keeps to the rules.
  ///
  /// - Parameter index: below a ``committed`` that this thread has seen.
  public func claimedSequence(at index: UInt32) -> UInt64 {
    index < maximumSlotCount ? word(SlotEntry.sequenceWord, at: index) : 0
  }

  /// A message's payload, where it lies. The slot must be of this segment.
  ///
  /// A publisher that breaks the rules can alter the bytes while they are read; nobody else can.
  @_lifetime(borrow self)
  public func bytes(of slot: Slot) -> RawSpan {
    span(from: slot.offset, byteCount: slot.byteCount)
  }

  /// A message's encoded attributes, where they lie; empty if it has none. The slot must be of this segment.
  ///
  /// - Throws: ``CorruptSegment`` as ``slot(at:)``: it is looked at anew.
  @_lifetime(borrow self)
  public func attributes(of slot: Slot) throws(CorruptSegment) -> RawSpan {
    let entry = try entry(at: slot.index, sequence: slot.sequence)
    return span(from: Int(entry.attributesOffset), byteCount: Int(entry.attributesByteCount))
  }

  /// When a message was published, as its publisher says by now: nanoseconds since 1970. The slot must be of this segment.
  public func publishTime(of slot: Slot) -> UInt64 { word(SlotEntry.publishTimeWord, at: slot.index) }

  /// The stride of a payload's elements, in bytes, as its publisher says by now; 0 if it is untyped. The slot must be of
  /// this segment.
  public func elementStride(of slot: Slot) -> UInt32 {
    SlotEntry.elementStride(inLengths: word(SlotEntry.lengthsWord, at: slot.index))
  }

  /// What one of a slot's words says by now, unchecked; see ``SlotEntry``.
  @inline(__always)
  private func word(_ number: Int, at index: UInt32) -> UInt64 {
    precondition(index < maximumSlotCount, "a slot was used with another segment")
    let position = SegmentLayout.slotOffset(of: index, inCapacity: capacity)
    // SAFETY: below maximumSlotCount, a slot of eight words lies between the header and the end.
    return unsafe mapping.mapping.words(at: position)[number].load(ordering: .relaxed)
  }

  @_lifetime(borrow self)
  private func span(from offset: Int, byteCount: Int) -> RawSpan {
    // A checked slot of this segment passes, by construction; one of another segment must not become a wild read.
    precondition(offset <= capacity && byteCount <= capacity - offset, "a slot was used with another segment")
    // SAFETY: checked above; neither is negative. The mapping lives as long as this reader.
    let span = unsafe RawSpan(_unsafeStart: mapping.mapping.base + offset, byteCount: byteCount)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  @inline(never)
  private func corrupt(
    _ field: CorruptSegment.Field, of index: UInt32, value: UInt64, allowed: ClosedRange<UInt64>
  ) -> CorruptSegment {
    CorruptSegment(identity: identity, slot: index, field: field, value: value, allowed: allowed)
  }
}

extension SegmentReader {
  /// The sequence of the last message committed in this life, or before it if it is new; nil if there is none.
  public var lastSequence: UInt64? {
    get throws(CorruptSegment) {
      let count = committed
      if count > 0 { return try slot(at: count - 1).sequence }
      // SAFETY: the word lies in the header page.
      let base = unsafe mapping.mapping.words(at: SegmentLayout.baseOffset).pointee.load(ordering: .relaxed)
      return base == 0 ? nil : base
    }
  }

  /// The sequences of the messages in some slots, in the order of the log, neighbours joined: a correct publisher's
  /// segment gives one range.
  ///
  /// - Parameters:
  ///   - first: the first slot.
  ///   - end: the slot behind the last; at most ``committed``.
  /// - Throws: ``CorruptSegment`` at the first slot that can't be.
  public func sequences(
    from first: UInt32 = 0, to end: UInt32
  ) throws(CorruptSegment) -> [ClosedRange<UInt64>] {
    var ranges: [ClosedRange<UInt64>] = []
    var index = first
    while index < end {
      let sequence = try slot(at: index).sequence
      // They rise in every log; a hostile one could make a caller sort them.
      if let last = ranges.last?.upperBound, sequence <= last {
        throw corrupt(.sequence, of: index, value: sequence, allowed: min(last, .max - 1) + 1...UInt64.max)
      }
      // A sequence is at least 1, so the subtraction can't overflow.
      if let last = ranges.last, last.upperBound == sequence - 1 {
        ranges[ranges.count - 1] = last.lowerBound...sequence
      } else {
        ranges.append(sequence...sequence)
      }
      index += 1
    }
    return ranges
  }
}
