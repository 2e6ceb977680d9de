import Testing

@testable import PooledMemory

@Suite struct SlotTests {
  static let capacity = SegmentLayout.maximumCapacity
  static let lastIndex = SegmentLayout.maximumSlotCount(inCapacity: capacity) - 1
  static let lastOffset = capacity - SegmentLayout.slotByteCount

  @Test(arguments: [0, 1, lastIndex], [SegmentLayout.headerByteCount, 1 << 32, lastOffset])
  func holdsWhateverALargestSegmentHas(index: UInt32, offset: Int) {
    for byteCount in [0, 1, Self.capacity - offset] {
      for isLast in [false, true] {
        let slot = Slot(
          sequence: .max, index: index, offset: UInt64(offset), byteCount: UInt64(byteCount), isLast: isLast)
        #expect(slot.sequence == .max && slot.index == index && slot.offset == offset)
        #expect(slot.byteCount == byteCount && slot.isLast == isLast)
        #expect(slot.following >= offset + byteCount && slot.following < offset + byteCount + 64)
      }
    }
  }

  /// In registers from call to call.
  @Test func isThreeWords() {
    #expect(MemoryLayout<Slot>.size == 24)
    #expect(MemoryLayout<Reservation>.size == 24)
  }
}
