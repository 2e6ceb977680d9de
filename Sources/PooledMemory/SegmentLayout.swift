#if _endian(big)
  #error("A segment's words are little-endian and read as they lie; a big-endian host needs conversions.")
#endif

/// How a segment is laid out: a header page, payloads that grow up from it, slots that grow down from the end.
///
///     0        4096                                                                capacity
///     ├────────┼─────────────────────────┬─────────────────────┬───┬───┬────────┬────────┤
///     │ header │ payload 0, attributes 0 │ payload 1 …    grow → room ← grow    … │ slot 1 │ slot 0 │
///     └────────┴─────────────────────────┴─────────────────────┴───┴───┴────────┴────────┘
///
/// A slot's first word is 0 until its message is committed, and so is the first word of the two slots behind the last
/// that is: who looks there for the next message finds nothing that was there before. Room for these two is never given
/// away.
///
/// All words are little-endian. Offsets count from the segment's first byte.
public enum SegmentLayout {
  /// What a segment's first eight bytes read: `POOLBUS` and a zero byte.
  public static let magic: UInt64 = 0x0053_5542_4C4F_4F50
  /// The layout this code writes and reads.
  public static let version: UInt64 = 3

  /// The header page; payloads begin behind it.
  public static let headerByteCount = 4096
  public static let slotByteCount = 64
  /// Slots behind the last message that nothing else is written to.
  static let spareSlotCount = 2
  static let spareByteCount = spareSlotCount * slotByteCount
  /// Every payload starts at a multiple of this, whether asked for or not.
  public static let minimumAlignment = 64
  public static let maximumAlignment = 2 << 20
  /// A header and one page of payloads and slots.
  public static let minimumCapacity = 2 * pageByteCount
  /// As much as a slot can say.
  static let maximumAttributesByteCount = Int(UInt32.max)
  /// 256 GiB, so that 32 bits tell which of its cache lines a payload begins with, and how many slots there are. No sum of two
  /// offsets below it overflows.
  public static let maximumCapacity = minimumAlignment << 32

  static let pageByteCount = 4096

  // The header's words. The publisher's share a cache line, as who looks at one looks at the others; the node's has its own.
  static let magicOffset = 0
  static let versionOffset = 8
  static let committedOffset = 64
  static let sealedOffset = 72
  static let baseOffset = 80
  static let joinsOffset = 128
  static let closedOffset = 136

  /// Whether a payload can be aligned so: a power of two up to 2 MiB.
  public static func allows(alignment: Int) -> Bool {
    alignment > 0 && alignment <= maximumAlignment && alignment & (alignment - 1) == 0
  }

  /// As many bytes as are whole pages.
  public static func wholePages(_ byteCount: Int) -> Int { byteCount - byteCount % pageByteCount }

  /// Whether a segment may be this large: whole pages, from ``minimumCapacity`` to ``maximumCapacity``.
  public static func allows(capacity: Int) -> Bool {
    capacity >= minimumCapacity && capacity <= maximumCapacity && capacity % pageByteCount == 0
  }

  /// The smallest capacity in bytes that holds one such message; nil if none does, or the arguments make no sense.
  ///
  /// - Parameters:
  ///   - alignment: a power of two up to 2 MiB.
  ///   - attributes: the length of the message's encoded attributes.
  public static func capacity(forPayload payload: Int, alignment: Int, attributes: Int) -> Int? {
    guard payload >= 0, attributes >= 0, allows(alignment: alignment) else { return nil }
    // Each term is at most maximumCapacity, so the sum can't overflow.
    guard payload <= maximumCapacity, attributes <= maximumAttributesByteCount else { return nil }
    let needed = roundUp(headerByteCount, to: alignment) + payload + attributes + slotByteCount + spareByteCount
    let capacity = max(roundUp(needed, to: pageByteCount), smallestCapacity(aligning: alignment))
    return capacity <= maximumCapacity ? capacity : nil
  }

  /// The smallest capacity in bytes that holds so many messages of one length; nil if none does.
  public static func capacity(forPayloads count: Int, byteCount: Int) -> Int? {
    guard count > 0, byteCount >= 0, byteCount <= maximumCapacity else { return nil }
    let each = roundUp(max(byteCount, 1), to: minimumAlignment) + slotByteCount
    guard count <= (maximumCapacity - headerByteCount) / each else { return nil }
    let capacity = roundUp(headerByteCount + count * each + spareByteCount, to: pageByteCount)
    return capacity <= maximumCapacity ? capacity : nil
  }

  /// The largest payload that an empty segment of this capacity holds, in bytes; 0 if it holds none.
  public static func maximumPayload(inCapacity capacity: Int, alignment: Int, attributes: Int) -> Int {
    guard attributes >= 0, allows(alignment: alignment), allows(capacity: capacity) else { return 0 }
    guard capacity >= smallestCapacity(aligning: alignment), attributes <= maximumAttributesByteCount else { return 0 }
    return max(0, capacity - slotByteCount - spareByteCount - attributes - roundUp(headerByteCount, to: alignment))
  }

  /// How many slots a segment of this capacity can hold at most, the spare ones included: all of it but the header.
  /// Fewer than `UInt32.max`, as the sealed word holds a count plus one.
  static func maximumSlotCount(inCapacity capacity: Int) -> UInt32 {
    UInt32(clamping: (capacity - headerByteCount) / slotByteCount)
  }

  static func slotOffset(of index: UInt32, inCapacity capacity: Int) -> Int {
    capacity - slotByteCount * (Int(index) + 1)
  }

  /// Mappings are aligned to pages by the kernel, and to 2 MiB by ours from 2 MiB on.
  static func smallestCapacity(aligning alignment: Int) -> Int {
    alignment > pageByteCount ? maximumAlignment : minimumCapacity
  }

  /// The next multiple of a power of two. Neither is negative, and their sum does not overflow.
  static func roundUp(_ value: Int, to multiple: Int) -> Int {
    (value + multiple - 1) & ~(multiple - 1)
  }
}

/// An epoch and a count in one word, so that a reader can't pair one life's count with another life's epoch.
struct EpochCount {
  let word: UInt64

  init(word: UInt64) { self.word = word }
  init(epoch: UInt32, count: UInt32) { word = UInt64(epoch) << 32 | UInt64(count) }

  var epoch: UInt32 { UInt32(truncatingIfNeeded: word >> 32) }

  /// The count, or nil if it speaks of another epoch.
  func count(in epoch: UInt32) -> UInt32? {
    self.epoch == epoch ? UInt32(truncatingIfNeeded: word) : nil
  }
}
