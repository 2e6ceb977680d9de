import Synchronization
import Testing
import Vocabulary

@testable import PooledMemory

/// A message is committed by its slot; what counts the slots follows.
@Suite struct SegmentCommitTests {
  private static let capacity = 8192
  private let memory: HostileMapping
  private let writer: SegmentWriter
  private let reader: SegmentReader

  init() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: Self.capacity)
    memory = HostileMapping(of: file.raw, byteCount: Self.capacity)
    let identity = SegmentIdentity(id: file.id, epoch: 1)
    writer = try SegmentWriter(mapping: duplicate(file.raw), capacity: Self.capacity, identity: identity)
    try file.sealAgainstFurtherWriters()
    reader = try SegmentReader(
      mapping: file.readOnlyDescriptor(), capacity: Self.capacity, identity: identity, populate: false)
  }

  /// The next message, as one finds it who looks at the slots only.
  private func found(at index: UInt32, _ sequence: UInt64, by reader: SegmentReader? = nil) -> Slot? {
    (reader ?? self.reader).slot(at: index, holding: sequence, looks: 2, payload: 4096)
  }

  @Test func aSlotIsFoundAsSoonAsItsMessageIsCommitted() throws {
    #expect(reader.isOpen)
    for index in UInt32(0)..<3 {
      let sequence = UInt64(index) + 7
      #expect(found(at: index, sequence) == nil)
      writer.append([UInt8(index)], sequence: sequence)
      #expect(try found(at: index, sequence) == reader.slot(at: index))
      #expect(found(at: index, sequence + 1) == nil)
    }
    #expect(found(at: .max, 1) == nil)
  }

  /// As where a publisher dies between a slot and the word that counts it.
  @Test(arguments: [1, 5]) func whatIsNotCountedYetIsCommitted(count: Int) throws {
    writer.append([1], sequence: 1)
    let room = try #require(writer.reserve(count: count, byteCount: 8))
    writer.commit(room, sequence: 2, publishTime: 0)
    memory.forgeCommitted(epoch: 1, count: 1)
    #expect(reader.committed == UInt32(count) + 1)
    #expect(try reader.lastSequence == UInt64(count) + 1)
    #expect(try reader.sequences(to: reader.committed) == [1...UInt64(count) + 1])
    // Of a batch that is not all there, nothing is.
    memory[Self.capacity - 128, as: UInt64.self] = 0
    #expect(reader.committed == 1)
    #expect(found(at: 1, 2) == nil)
  }

  @Test func aSlotThatCannotBeIsNotFoundAndNotCounted() throws {
    writer.append([1], sequence: 1)
    writer.append([2], sequence: 2)
    memory[Self.capacity - 128 + 8, as: UInt64.self] = 4096
    memory.forgeCommitted(epoch: 1, count: 1)
    #expect(found(at: 1, 2) == nil)
    #expect(reader.committed == 1)
    // What is counted is told as corrupt.
    memory.forgeCommitted(epoch: 1, count: 2)
    #expect(reader.committed == 2)
    #expect(throws: CorruptSegment.self) { try reader.slot(at: 1) }
  }

  /// A hostile publisher that changes a slot for another in order, while it is looked at.
  @Test func whatIsFoundIsWhatWasAskedFor() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 2), capacity: Self.capacity)
    let memory = try Mapping.map(
      duplicate(file.raw), byteCount: Self.capacity, access: .write, populate: true, subject: "a segment")
    let identity = SegmentIdentity(id: file.id, epoch: 1)
    let reader = try SegmentReader(
      mapping: file.readOnlyDescriptor(), capacity: Self.capacity, identity: identity, populate: true)
    let isOver = Atomic(false)
    let strange = Atomic(0)
    onThreads([
      {
        var sequence: UInt64 = 1
        while !isOver.load(ordering: .relaxed) {
          sequence = ~sequence
          var entry = SlotEntry(
            sequence: sequence, offset: 4096, byteCount: 0, publishTime: 0, attributesOffset: 4096,
            attributesByteCount: 0, elementStride: 0)
          entry.checksum = entry.expectedChecksum(at: 0, epoch: 1)
          // SAFETY: the slot lies in the segment.
          unsafe entry.store(to: memory.words(at: SegmentLayout.slotOffset(of: 0, inCapacity: Self.capacity)))
        }
      },
      {
        var found = 0
        while found < 200_000 {
          guard let slot = reader.slot(at: 0, holding: 1, looks: 32, payload: 4096) else { continue }
          found += 1
          if slot.sequence != 1 { strange.add(1, ordering: .relaxed) }
        }
        isOver.store(true, ordering: .relaxed)
      },
    ])
    #expect(strange.load(ordering: .relaxed) == 0)
  }

  @Test func theLastMessageSaysThatItIs() throws {
    writer.append([1], sequence: 1)
    let room = try #require(writer.reserve(byteCount: 1))
    writer.commit(room, byteCount: 1, sequence: 2, publishTime: 0, elementStride: 0, isLast: true)
    #expect(found(at: 0, 1)?.isLast == false)
    #expect(found(at: 1, 2)?.isLast == true)
    #expect(reader.sealedCount == 2)
    #expect(reader.isOpen)
  }

  /// Slots in order of a life that is yet to begin, wherever one can lie: as a payload may hold them that somebody else
  /// has made.
  @Test(arguments: [1, 3]) func nothingThatWasThereBeforeIsTakenForAMessage(batch: Int) throws {
    let reader = SegmentReader(mapping: self.reader.mapping, epoch: 2)
    writer.seal()
    let most = (Self.capacity - 4096) / 64
    for index in 0..<most {
      let entry = SlotEntry(
        sequence: UInt64(index) + 1, offset: 4096, byteCount: 0, publishTime: 0, attributesOffset: 4096,
        attributesByteCount: 0, elementStride: 0, run: UInt32(most))
      memory.forge(entry, at: UInt32(index), epoch: 2)
    }
    #expect(!reader.isOpen)
    #expect(reader.committed == 0)
    writer.begin(epoch: 2)
    #expect(reader.isOpen)
    var committed: UInt32 = 0
    while let room = writer.reserve(count: batch, byteCount: 0) {
      #expect(reader.committed == committed)
      #expect(found(at: committed, UInt64(committed) + 1, by: reader) == nil)
      // In an order of their own, so that they are told from the forged ones.
      writer.commit(room, sequence: UInt64(committed) + 1, publishTime: 5)
      for index in committed..<committed + UInt32(batch) {
        #expect(try reader.publishTime(of: reader.slot(at: index)) == 5)
      }
      committed += UInt32(batch)
    }
    #expect(committed > 10)
    #expect(reader.committed == committed)
    #expect(found(at: committed, UInt64(committed) + 1, by: reader) == nil)
  }

  /// As above, one by one.
  @Test func noMessageLeavesASlotBehindItThatIsNotEmpty() throws {
    for index in UInt32(0)..<64 {
      memory[Self.capacity - 64 * (Int(index) + 1), as: UInt64.self] = 99
    }
    writer.begin(epoch: 2)
    let reader = SegmentReader(mapping: self.reader.mapping, epoch: 2)
    var count: UInt32 = 0
    while writer.append([], sequence: UInt64(count) + 1) {
      count += 1
      #expect(reader.claimedSequence(at: count) == 0)
      #expect(reader.claimedSequence(at: count + 1) == 0)
    }
    #expect(count > 10)
  }

  /// What is behind the last message is nobody's payload, so nobody else says what stands there.
  @Test func noPayloadReachesTheSpareSlots() throws {
    var sequence: UInt64 = 0
    for byteCount in [1000, 2000, 500, 100, 50, 0, 0] {
      while writer.append([UInt8](repeating: 0xFF, count: byteCount), sequence: sequence + 1) { sequence += 1 }
    }
    #expect(writer.freeByteCount < 64)
    let committed = reader.committed
    #expect(reader.claimedSequence(at: committed) == 0)
    #expect(reader.claimedSequence(at: committed + 1) == 0)
  }
}
