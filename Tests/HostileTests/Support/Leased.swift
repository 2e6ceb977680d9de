import Glibc
import PooledMemory
import Testing

/// A segment mapped for writing outside of all rules. Offsets as in `SegmentLayout`.
@safe
final class Leased: @unchecked Sendable {
  // Unchecked: a test writes it from one task at a time.

  let segment: UInt64
  let epoch: UInt64
  let capacity: Int
  let descriptor: Descriptor
  private let base: UnsafeMutableRawPointer

  init(_ granted: Answer) throws {
    segment = granted[3]
    epoch = granted[4]
    capacity = Int(granted[5])
    descriptor = try #require(granted.descriptor)
    let mapped = unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.raw, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw Unexpected("mmap: \(errno)") }
    unsafe base = mapped
  }

  deinit { unsafe munmap(base, capacity) }

  subscript(_ offset: Int) -> UInt64 {
    get {
      precondition(offset >= 0 && offset + 8 <= capacity)
      return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
    set {
      precondition(offset >= 0 && offset + 8 <= capacity)
      unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Writes a slot whose checksum is right.
  func forge(_ entry: SlotEntry, at index: UInt32) {
    let offset = capacity - 64 * (Int(index) + 1)
    self[offset] = entry.sequence
    self[offset + 8] = entry.offset
    self[offset + 16] = entry.byteCount
    self[offset + 24] = entry.publishTime
    self[offset + 32] = entry.attributesOffset
    self[offset + 40] = UInt64(entry.attributesByteCount) | UInt64(entry.elementStride) << 32
    self[offset + 48] = UInt64(entry.run) | UInt64(entry.isLast) << 32
    self[offset + 56] = entry.expectedChecksum(at: index, epoch: UInt32(epoch))
  }

  /// A message in order, at a slot.
  func write(sequence: UInt64, at index: UInt32, publishTime: UInt64 = 1) {
    forge(
      SlotEntry(
        sequence: sequence, offset: 4096 + 64 * UInt64(index), byteCount: 64, publishTime: publishTime,
        attributesOffset: 4096, attributesByteCount: 0, elementStride: 0),
      at: index)
  }

  func commit(_ count: UInt64) { self[64] = epoch << 32 | count }
  func seal(_ count: UInt64) { self[72] = epoch << 32 | (count + 1) }
}
