import Synchronization

/// A slot as it lies in memory: eight words, of which nothing is known until ``SegmentReader`` has checked them.
///
///      0 sequence            8 offset             16 byteCount          24 publishTime
///     32 attributesOffset   40 attributesByteCount, elementStride (32 bits each)
///     48 run, isLast (32 bits each)                           56 checksum
///
/// The sequence is written last: as long as it is 0, nothing else here means anything.
package struct SlotEntry: Sendable {
  package var sequence: UInt64
  package var offset: UInt64
  package var byteCount: UInt64
  package var publishTime: UInt64
  package var attributesOffset: UInt64
  package var attributesByteCount: UInt32
  package var elementStride: UInt32
  /// How many messages were committed together from this one on: 1, or what is left of a batch.
  package var run: UInt32
  /// Not 0 if the log ends with this message.
  package var isLast: UInt32
  package var checksum: UInt64 = 0

  package init(
    sequence: UInt64, offset: UInt64, byteCount: UInt64, publishTime: UInt64, attributesOffset: UInt64,
    attributesByteCount: UInt32, elementStride: UInt32, run: UInt32 = 1, isLast: UInt32 = 0
  ) {
    self.sequence = sequence
    self.offset = offset
    self.byteCount = byteCount
    self.publishTime = publishTime
    self.attributesOffset = attributesOffset
    self.attributesByteCount = attributesByteCount
    self.elementStride = elementStride
    self.run = run
    self.isLast = isLast
  }

  // The words that are also looked at by themselves.
  static let sequenceWord = 0
  static let publishTimeWord = 3
  static let lengthsWord = 5

  @inline(__always)
  static func elementStride(inLengths word: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: word >> 32) }

  /// Copies an entry out of a segment.
  ///
  /// Each word is loaded atomically, hence exactly once: what is checked in the copy is what is used, even if the
  /// publisher goes on writing. `words` must be readable for 64 bytes.
  @inline(__always)
  @unsafe init(loadingFrom words: UnsafePointer<Atomic<UInt64>>) {
    // SAFETY: the caller says that eight words are readable.
    // Acquiring: the other words, and the payload, are there as soon as this one is.
    unsafe sequence = words[Self.sequenceWord].load(ordering: .acquiring)
    unsafe offset = words[1].load(ordering: .relaxed)
    unsafe byteCount = words[2].load(ordering: .relaxed)
    unsafe publishTime = words[Self.publishTimeWord].load(ordering: .relaxed)
    unsafe attributesOffset = words[4].load(ordering: .relaxed)
    let lengths = unsafe words[Self.lengthsWord].load(ordering: .relaxed)
    let ends = unsafe words[6].load(ordering: .relaxed)
    unsafe checksum = words[7].load(ordering: .relaxed)
    attributesByteCount = UInt32(truncatingIfNeeded: lengths)
    elementStride = Self.elementStride(inLengths: lengths)
    run = UInt32(truncatingIfNeeded: ends)
    isLast = UInt32(truncatingIfNeeded: ends >> 32)
  }

  /// Copies the entry into a segment, and thereby commits its message. `words` must be writable for 64 bytes.
  @inline(__always)
  @unsafe func store(to words: UnsafePointer<Atomic<UInt64>>) {
    // SAFETY: the caller says that eight words are writable.
    unsafe words[1].store(offset, ordering: .relaxed)
    unsafe words[2].store(byteCount, ordering: .relaxed)
    unsafe words[Self.publishTimeWord].store(publishTime, ordering: .relaxed)
    unsafe words[4].store(attributesOffset, ordering: .relaxed)
    unsafe words[Self.lengthsWord].store(lengths, ordering: .relaxed)
    unsafe words[6].store(ends, ordering: .relaxed)
    unsafe words[7].store(checksum, ordering: .relaxed)
    // Releasing: whoever acquires it sees the rest of the slot, and the payload. That holds whichever thread wrote the
    // payload, as what hands a loan over to this one orders the two.
    unsafe words[Self.sequenceWord].store(sequence, ordering: .releasing)
  }

  /// What the checksum must be for this slot in this life of the segment.
  ///
  /// It finds stale and torn slots and a publisher's stray writes. It is no defence against a hostile publisher, who
  /// can compute it too; that is what the reader's bounds are for. The constants are the golden ratio's digits and
  /// those of the square roots of the first primes.
  @inline(__always)
  package func expectedChecksum(at index: UInt32, epoch: UInt32) -> UInt64 {
    let first = fold(sequence ^ 0x9E37_79B9_7F4A_7C15, offset ^ 0xBB67_AE85_84CA_A73B)
    let second = fold(byteCount ^ 0x3C6E_F372_FE94_F82B, publishTime ^ 0xA54F_F53A_5F1D_36F1)
    let third = fold(attributesOffset ^ 0x510E_527F_ADE6_82D1, lengths ^ 0x9B05_688C_2B3E_6C1F)
    // The three are rotated apart so that equal words in two of them do not cancel.
    let words = first ^ (second << 21 | second >> 43) ^ (third << 42 | third >> 22)
    let place = UInt64(epoch) << 32 | UInt64(index)
    return fold(words ^ ends ^ 0x1F83_D9AB_FB41_BD6B, place ^ 0x5BE0_CD19_137E_2179)
  }

  @inline(__always)
  private var lengths: UInt64 { UInt64(elementStride) << 32 | UInt64(attributesByteCount) }
  @inline(__always)
  private var ends: UInt64 { UInt64(isLast) << 32 | UInt64(run) }

  /// One multiplication that lets every bit of both words reach every bit of the result.
  @inline(__always)
  private func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}
