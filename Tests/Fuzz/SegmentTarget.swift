import Vocabulary

@testable import PooledMemory

private let scribbled = ScribbledSegment(1)

/// Whatever stands in a segment's shared words and slots, a reader reads within it, or refuses.
///
/// Input: the committed and the sealed word as they lie; then slots, each with a byte that says whether its words are
/// small or any, and whether its checksum is made right, or taken from the input too.
func fuzzSegment(_ bytes: RawSpan) {
  var input = InputReader(bytes)
  let epoch: UInt32 = 1
  scribbled.clear()
  scribbled.store(committed: input.word())
  scribbled.store(sealed: input.word())
  for index in 0..<ScribbledSegment.slotCount where !input.isAtEnd {
    let kind = input.byte()
    let hasRightChecksum = kind & 3 != 0
    var entry = kind & 4 == 0 ? anyEntry(&input) : smallEntry(&input)
    if !hasRightChecksum {
      entry.run = input.word()
      entry.isLast = input.word()
      entry.checksum = input.word()
    }
    scribbled.store(entry, at: index, epoch: hasRightChecksum ? epoch : nil)
  }
  check(scribbled.reader(epoch: epoch))
}

private func anyEntry(_ input: inout InputReader) -> SlotEntry {
  SlotEntry(
    sequence: input.word(), offset: input.word(), byteCount: input.word(), publishTime: input.word(),
    attributesOffset: input.word(), attributesByteCount: input.word(), elementStride: input.word())
}

/// Offsets lie about the payloads, most where one may begin, and lengths are such as fit there.
private func smallEntry(_ input: inout InputReader) -> SlotEntry {
  let sequence = UInt64(input.byte())
  let offset = 4000 + UInt64(input.word(UInt16.self))
  return SlotEntry(
    sequence: sequence, offset: offset % 16 == 0 ? offset : offset & ~63, byteCount: input.number(),
    publishTime: 0, attributesOffset: 4000 + UInt64(input.word(UInt16.self)), attributesByteCount: UInt32(input.byte()),
    elementStride: 0)
}

private func check(_ reader: SegmentReader) {
  let committed = reader.committed
  require(committed <= ScribbledSegment.slotCount, "\(committed) slots are committed")
  if let sealed = reader.sealedCount { require(sealed <= ScribbledSegment.slotCount, "it is sealed at \(sealed)") }

  // Whether its slots can all be read, and rise.
  var isInOrder = true
  var last: UInt64 = 0
  for index in 0..<ScribbledSegment.slotCount {
    do throws(CorruptSegment) {
      let slot = try reader.slot(at: index)
      check(slot, at: index, of: reader)
      if index < committed, slot.sequence <= last { isInOrder = false }
      last = slot.sequence
    } catch {
      if index < committed { isInOrder = false }
      require(!error.description.isEmpty && error.slot == index, "the refusal names slot \(error.slot), not \(index)")
    }
  }
  for index in [ScribbledSegment.slotCount, .max] {
    require((try? reader.slot(at: index)) == nil, "there is a slot \(index)")
    require(reader.claimedSequence(at: index) == 0, "slot \(index) claims a sequence")
  }

  let sequences = try? reader.sequences(to: committed)
  require((sequences != nil) == isInOrder, "the sequences differ from the slots in whether they can be told")
  let count = (sequences ?? []).reduce(0) { $0 + UInt64($1.count) }
  require(sequences == nil || count == UInt64(committed), "\(count) sequences of \(committed) slots")
  if isInOrder, committed > 0 {
    require((try? reader.lastSequence) == sequences?.last?.upperBound, "another sequence is the last")
  }
}

private func check(_ slot: Slot, at index: UInt32, of reader: SegmentReader) {
  guard let attributes = try? reader.attributes(of: slot) else { fail("slot \(index) has no attributes") }
  plant(slot.byteCount > 0 && attributes.byteCount > 0, "a payload with attributes")
  require(slot.index == index && slot.sequence > 0, "slot \(index) is \(slot)")
  require(reader.claimedSequence(at: index) == slot.sequence, "slot \(index) claims another sequence")
  let found = reader.slot(
    at: index, holding: slot.sequence, looks: 1, payload: Int(truncatingIfNeeded: reader.publishTime(of: slot)))
  require(found == slot, "slot \(index) is found as \(String(describing: found))")
  let entry = scribbled.entry(at: index)
  let attributesByteCount = Int(entry.attributesByteCount)
  for (span, count) in [(slot.offset, slot.byteCount), (Int(entry.attributesOffset), attributesByteCount)] {
    let end = SegmentLayout.slotOffset(of: index, inCapacity: reader.capacity)
    require(
      span >= SegmentLayout.headerByteCount && count >= 0 && count <= end - span, "slot \(index) reaches from \(span)")
  }
  if let problem = scribbled.problem(of: reader.bytes(of: slot), count: slot.byteCount) {
    fail("payload \(index): \(problem)")
  }
  if let problem = scribbled.problem(of: attributes, count: attributesByteCount) {
    fail("attributes \(index): \(problem)")
  }
}
