import Platform
import Vocabulary

@testable import PooledMemory

/// A segment whose publisher writes what it likes, and its readers.
///
/// One memory file serves all inputs: only its shared words and slots are cleared between them. Its payloads are never
/// looked at but by length, so what they hold does not matter.
final class ScribbledSegment: Sendable {
  /// Small, so that an input can fill it: a header, and a page of payloads and slots.
  static let capacity = SegmentLayout.minimumCapacity
  static let slotCount = SegmentLayout.maximumSlotCount(inCapacity: capacity)

  let mapping: ReadMapping
  private let writable: Mapping

  init(_ number: UInt64) {
    do {
      let id = SegmentID(rawValue: number)
      let file = try SegmentFile.create(id: id, capacity: Self.capacity)
      writable = try Mapping.map(
        try OwnedDescriptor.duplicating(file.raw), byteCount: Self.capacity, access: .write, populate: true,
        subject: "\(id)")
      mapping = try ReadMapping(
        descriptor: try file.readOnlyDescriptor(), id: id, capacity: Self.capacity, populate: true)
    } catch {
      fail("no memory to fuzz in: \(error)")
    }
  }

  func reader(epoch: UInt32) -> SegmentReader { SegmentReader(mapping: mapping, epoch: epoch) }

  /// Whether the slots say more than the word that counts them.
  var hasUncounted: Bool {
    let word = mapping.committedWord
    return reader(epoch: word.epoch).committed > min(word.count(in: word.epoch) ?? 0, Self.slotCount)
  }

  func clear() {
    store(0, at: SegmentLayout.committedOffset)
    store(0, at: SegmentLayout.sealedOffset)
    for index in 0..<Self.slotCount { store(SlotEntry.empty, at: index) }
  }

  func store(committed word: UInt64) { store(word, at: SegmentLayout.committedOffset) }
  func store(sealed word: UInt64) { store(word, at: SegmentLayout.sealedOffset) }

  /// Writes a slot; its checksum is right if an epoch is named.
  func store(_ entry: SlotEntry, at index: UInt32, epoch: UInt32? = nil) {
    var entry = entry
    if let epoch { entry.checksum = entry.expectedChecksum(at: index, epoch: epoch) }
    guard index < Self.slotCount else { return }
    // SAFETY: below the count, a slot lies in the segment.
    unsafe entry.store(to: writable.words(at: SegmentLayout.slotOffset(of: index, inCapacity: Self.capacity)))
  }

  /// A slot as it lies there.
  ///
  /// - Parameter index: below ``slotCount``.
  func entry(at index: UInt32) -> SlotEntry {
    // SAFETY: below the count, a slot lies in the segment.
    unsafe SlotEntry(loadingFrom: writable.words(at: SegmentLayout.slotOffset(of: index, inCapacity: Self.capacity)))
  }

  private func store(_ word: UInt64, at offset: Int) {
    // SAFETY: both shared words lie in the header page.
    unsafe writable.words(at: offset).pointee.store(word, ordering: .releasing)
  }

  /// What is wrong with a span that a reader gave, for it lies outside of what may be read.
  func problem(of span: RawSpan, count: Int) -> String? {
    // SAFETY: the address is only compared.
    let (start, end) = unsafe span.withUnsafeBytes { bytes in
      (Int(bitPattern: bytes.baseAddress), Int(bitPattern: bytes.baseAddress) + bytes.count)
    }
    let base = unsafe Int(bitPattern: mapping.mapping.base)
    if span.byteCount != count { return "it has \(span.byteCount) bytes, not \(count)" }
    if start < base + SegmentLayout.headerByteCount || end > base + Self.capacity { return "it leaves the segment" }
    return nil
  }
}

extension SlotEntry {
  static let empty = SlotEntry(
    sequence: 0, offset: 0, byteCount: 0, publishTime: 0, attributesOffset: 0, attributesByteCount: 0, elementStride: 0)
}
