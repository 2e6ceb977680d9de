import PooledMemory
import Testing
import Vocabulary

/// A reader in front of a publisher that writes what it likes: an error that names the field, or bytes of the segment;
/// never a crash, never a read outside.
@Suite struct HostileSegmentTests {
  static let capacity = 16_384
  static let epoch: UInt32 = 3
  /// Where slot 0 lies, and so where payloads must end that slot 0 speaks of.
  static let end = UInt64(capacity - 64)

  private let reader: SegmentReader
  private let memory: HostileMapping

  init() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 9), capacity: Self.capacity)
    memory = HostileMapping(of: file.raw, byteCount: Self.capacity)
    try file.sealAgainstFurtherWriters()
    reader = try SegmentReader(
      mapping: file.readOnlyDescriptor(), capacity: Self.capacity, identity: .init(id: file.id, epoch: Self.epoch),
      populate: true)
  }

  /// An entry that is in order.
  private static func entry() -> SlotEntry {
    SlotEntry(
      sequence: 1, offset: 4096, byteCount: 64, publishTime: 1, attributesOffset: 4160, attributesByteCount: 8,
      elementStride: 0)
  }

  @Test func anEntryInOrderPasses() throws {
    memory.forge(Self.entry(), at: 0, epoch: Self.epoch)
    #expect(try reader.slot(at: 0).byteCount == 64)
    // To the very last byte, and not a byte more elsewhere.
    var entry = Self.entry()
    entry.byteCount = Self.end - 4096
    entry.attributesOffset = Self.end
    entry.attributesByteCount = 0
    memory.forge(entry, at: 0, epoch: Self.epoch)
    #expect(try reader.payload(at: 0).count == Self.capacity - 64 - 4096)
  }

  struct Forgery: CustomTestStringConvertible, Sendable {
    let field: CorruptSegment.Field
    let testDescription: String
    let forge: @Sendable (inout SlotEntry) -> Void

    init(_ field: CorruptSegment.Field, _ description: String, _ forge: @escaping @Sendable (inout SlotEntry) -> Void) {
      self.field = field
      self.forge = forge
      testDescription = "\(field.rawValue): \(description)"
    }
  }

  @Test(arguments: [
    Forgery(.sequence, "zero") { $0.sequence = 0 },
    Forgery(.offset, "in the header") { $0.offset = 4095 },
    Forgery(.offset, "zero") { $0.offset = 0 },
    Forgery(.offset, "in the slots") { $0.offset = end + 1 },
    Forgery(.offset, "beyond the segment") { $0.offset = UInt64(capacity) },
    Forgery(.offset, "negative if signed") { $0.offset = .max },
    Forgery(.offset, "the smallest negative") { $0.offset = 1 << 63 },
    Forgery(.offset, "not at a cache line's start") { $0.offset = 4100 },
    Forgery(.byteCount, "one too many") { $0.byteCount = end - 4096 + 1 },
    Forgery(.byteCount, "one too many at the end") { ($0.offset, $0.byteCount) = (end, 1) },
    Forgery(.byteCount, "beyond the segment") { $0.byteCount = UInt64(capacity) },
    Forgery(.byteCount, "negative if signed") { $0.byteCount = .max },
    Forgery(.byteCount, "the sum overflows to 0") { $0.byteCount = 0 &- $0.offset },
    Forgery(.byteCount, "the sum overflows to the payload area") { ($0.offset, $0.byteCount) = (8192, 5000 &- 8192) },
    Forgery(.byteCount, "the signed sum overflows") { $0.byteCount = UInt64(Int.max) },
    Forgery(.attributesOffset, "in the header") { $0.attributesOffset = 4095 },
    Forgery(.attributesOffset, "in the slots") { $0.attributesOffset = end + 1 },
    Forgery(.attributesOffset, "negative if signed") { $0.attributesOffset = .max },
    Forgery(.attributesByteCount, "one too many") { $0.attributesByteCount = UInt32(end - 4160) + 1 },
    Forgery(.attributesByteCount, "the largest") { $0.attributesByteCount = .max },
  ])
  func everyBoundIsKept(forgery: Forgery) {
    var entry = Self.entry()
    forgery.forge(&entry)
    memory.forge(entry, at: 0, epoch: Self.epoch)
    let error = #expect(throws: CorruptSegment.self) { try reader.slot(at: 0) }
    #expect(error?.field == forgery.field)
    #expect(error?.identity == reader.identity)
    #expect(error?.slot == 0)
  }

  /// A place is what it was as the slot was checked; what is looked up later is checked then, or harms nobody.
  @Test func whatIsAlteredLaterIsCheckedAnew() throws {
    memory.forge(Self.entry(), at: 0, epoch: Self.epoch)
    let slot = try reader.slot(at: 0)
    #expect(try reader.attributes(of: slot).byteCount == 8 && reader.publishTime(of: slot) == 1)

    func expectCorruptAttributes(_ field: CorruptSegment.Field, _ alter: (inout SlotEntry) -> Void) {
      var entry = Self.entry()
      alter(&entry)
      memory.forge(entry, at: 0, epoch: Self.epoch)
      let error = #expect(throws: CorruptSegment.self) { try reader.attributes(of: slot).byteCount }
      #expect(error?.field == field)
    }
    expectCorruptAttributes(.attributesOffset) { $0.attributesOffset = Self.end + 1 }
    expectCorruptAttributes(.attributesByteCount) { $0.attributesByteCount = .max }
    // Those of another message.
    expectCorruptAttributes(.sequence) { $0.sequence = 99 }

    var entry = Self.entry()
    (entry.offset, entry.byteCount, entry.publishTime, entry.elementStride) = (.max, .max, .max, .max)
    memory.forge(entry, at: 0, epoch: Self.epoch)
    #expect(reader.publishTime(of: slot) == .max && reader.elementStride(of: slot) == .max)
    #expect(reader.bytes(of: slot).byteCount == 64)
  }

  @Test func payloadsEndBelowTheirOwnSlot() {
    var entry = Self.entry()
    entry.byteCount = Self.end - 4096
    memory.forge(entry, at: 1, epoch: Self.epoch)
    #expect(throws: CorruptSegment.self) { try reader.slot(at: 1) }
  }

  @Test func slotsThatCannotBeAreRefused() {
    let slotCount = UInt32((Self.capacity - 4096) / 64)
    for index in [slotCount, slotCount + 1, .max - 1, .max] {
      let error = #expect(throws: CorruptSegment.self) { try reader.slot(at: index) }
      #expect(error?.field == .index)
    }
    // The last one that can be lies at the payload area's start.
    var entry = Self.entry()
    (entry.byteCount, entry.attributesOffset, entry.attributesByteCount) = (0, 4096, 0)
    memory.forge(entry, at: slotCount - 1, epoch: Self.epoch)
    #expect(throws: Never.self) { try reader.slot(at: slotCount - 1) }
  }

  @Test func staleAndEmptySlotsFailTheChecksum() {
    #expect(throws: CorruptSegment.self) { try reader.slot(at: 0) }
    memory.forge(Self.entry(), at: 0, epoch: Self.epoch - 1)
    #expect(#expect(throws: CorruptSegment.self) { try reader.slot(at: 0) }?.field == .checksum)
    // A good slot in another's place.
    memory.forge(Self.entry(), at: 0, epoch: Self.epoch)
    memory.forge(
      Self.entry(), at: 1, epoch: Self.epoch, checksum: Self.entry().expectedChecksum(at: 0, epoch: Self.epoch))
    #expect(throws: Never.self) { try reader.slot(at: 0) }
    #expect(#expect(throws: CorruptSegment.self) { try reader.slot(at: 1) }?.field == .checksum)
  }

  /// One bit of a slot turned over, wherever: the checksum sees it.
  @Test func everyBitOfASlotCounts() {
    for bit in 0..<512 {
      memory.forge(Self.entry(), at: 0, epoch: Self.epoch)
      memory[Int(Self.end) + bit / 8, as: UInt8.self] ^= 1 << (bit % 8)
      #expect(#expect(throws: CorruptSegment.self) { try reader.slot(at: 0) }?.field == .checksum, "bit \(bit)")
    }
  }

  @Test func countsAreClamped() {
    let most = UInt32((Self.capacity - 4096) / 64)
    memory.forgeCommitted(epoch: Self.epoch, count: .max)
    #expect(reader.committed == most)
    memory.forgeCommitted(epoch: Self.epoch + 1, count: 5)
    #expect(reader.committed == 0)
    memory[72, as: UInt64.self] = .max
    #expect(reader.sealedCount == nil)
    memory[72, as: UInt64.self] = UInt64(Self.epoch) << 32 | 0xFFFF_FFFF
    #expect(reader.sealedCount == most)
    memory[72, as: UInt64.self] = UInt64(Self.epoch) << 32
    #expect(reader.sealedCount == nil)
  }

  private func readAll(of span: RawSpan) {
    #expect(copy(span).count == span.byteCount)
  }

  @Test(arguments: UInt64(1)...8)
  func randomScribblingNeverHurts(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    // What a check might get wrong, beside what is merely random.
    let edges: [UInt64] = [
      0, 1, 63, 64, 4095, 4096, 4097, Self.end - 1, Self.end, Self.end + 1, UInt64(Self.capacity),
      UInt64(Int.max), 1 << 63, .max, .max - 4095, .max - 4096, UInt64(UInt32.max), 1 << 32,
    ]
    func word() -> UInt64 {
      switch Int.random(in: 0..<8, using: &random) {
      case 0: random.next()
      case 1: edges.randomElement(using: &random)!
      default: UInt64.random(in: 0...UInt64(Self.capacity), using: &random)
      }
    }

    var readable = 0
    var refused = 0
    for _ in 0..<5_000 {
      // The words a publisher shares, scribbled over; most of the slots with a checksum that fits.
      for _ in 0..<4 { memory[8 * Int.random(in: 0..<32, using: &random), as: UInt64.self] = word() }
      for _ in 0..<2 {
        memory[8 * Int.random(in: 512..<Self.capacity / 8, using: &random), as: UInt64.self] = random.next()
      }
      memory.forgeCommitted(
        epoch: Bool.random(using: &random) ? Self.epoch : .random(in: 0...9, using: &random),
        count: UInt32(truncatingIfNeeded: word()))
      for index in UInt32(0)..<4 {
        // Half of the offsets where a payload may begin.
        let offset = Bool.random(using: &random) ? word() : word() & ~63
        let entry = SlotEntry(
          sequence: word(), offset: offset, byteCount: word(), publishTime: word(), attributesOffset: word(),
          attributesByteCount: UInt32(truncatingIfNeeded: word()), elementStride: UInt32(truncatingIfNeeded: word()))
        memory.forge(
          entry, at: index, epoch: Self.epoch, checksum: Int.random(in: 0..<8, using: &random) == 0 ? word() : nil)
      }

      _ = reader.sealedCount
      _ = try? reader.lastSequence
      _ = try? reader.sequences(to: reader.committed)
      for index in 0..<min(reader.committed, 8) {
        do throws(CorruptSegment) {
          let slot = try reader.slot(at: index)
          // What lies outside of the mapping would end the test here.
          readAll(of: reader.bytes(of: slot))
          readAll(of: try reader.attributes(of: slot))
          readable += 1
        } catch {
          #expect(!error.description.isEmpty)
          refused += 1
        }
      }
    }
    #expect(readable > 100 && refused > 100, "seed \(seed): \(readable) readable, \(refused) refused")
  }
}
