import PooledMemory
import Testing

@Suite struct SegmentLayoutTests {
  @Test func capacityIsTheSmallestThatHoldsTheMessage() throws {
    for alignment in [1, 64, 4096] {
      for attributes in [0, 1, 16_384] {
        for payload in [0, 1, 63, 64, 4031, 4032, 4033, 1 << 20, 64 << 20] {
          let capacity = try #require(
            SegmentLayout.capacity(forPayload: payload, alignment: alignment, attributes: attributes))
          #expect(SegmentLayout.allows(capacity: capacity))
          func limit(in capacity: Int) -> Int {
            SegmentLayout.maximumPayload(inCapacity: capacity, alignment: alignment, attributes: attributes)
          }
          #expect(limit(in: capacity) >= payload)
          if capacity > SegmentLayout.minimumCapacity, payload > 0 { #expect(limit(in: capacity - 4096) < payload) }
        }
      }
    }
  }

  @Test func alignmentAbovePagesNeedsHugeCapacity() {
    #expect(SegmentLayout.capacity(forPayload: 1, alignment: 8192, attributes: 0) == 2 << 20)
    #expect(SegmentLayout.capacity(forPayload: 1, alignment: 2 << 20, attributes: 0) == (2 << 20) + 4096)
    #expect(SegmentLayout.maximumPayload(inCapacity: 1 << 20, alignment: 8192, attributes: 0) == 0)
  }

  @Test(arguments: [
    (-1, 64, 0), (0, 64, -1), (0, 0, 0), (0, -64, 0), (0, 96, 0), (0, 4 << 20, 0), (Int.max, 64, 0), (0, 64, Int.max),
    (Int.max, 2 << 20, Int.max), (SegmentLayout.maximumCapacity, 64, 0), (0, 64, 1 << 32), (0, Int.min, 0),
  ])
  func nonsenseHasNoCapacity(payload: Int, alignment: Int, attributes: Int) {
    #expect(SegmentLayout.capacity(forPayload: payload, alignment: alignment, attributes: attributes) == nil)
  }

  @Test(arguments: [
    (0, 64, 0), (-4096, 64, 0), (Int.min, 64, 0), (8193, 64, 0), (8192, 3, 0), (8192, 64, -1), (8192, 64, 5000),
  ])
  func nonsenseHoldsNoPayload(capacity: Int, alignment: Int, attributes: Int) {
    #expect(SegmentLayout.maximumPayload(inCapacity: capacity, alignment: alignment, attributes: attributes) == 0)
  }

  /// The bytes that other programs rely on, word by word, without any of the code that writes them.
  @Test func everyWordLiesWhereTheLayoutSays() throws {
    let file = try SegmentFile.create(id: .init(rawValue: 7), capacity: 8192)
    let memory = HostileMapping(of: file.raw, byteCount: 8192)
    let writer = try SegmentWriter(
      mapping: duplicate(file.raw), capacity: 8192, identity: .init(id: file.id, epoch: 5))
    writer.begin(epoch: 5, after: 40)
    file.noteJoins(3)
    writer.append([1, 2, 3], attributes: [9, 8], sequence: 41, publishTime: 1234, elementStride: 1)
    writer.append([4], sequence: 42)
    writer.seal()

    #expect((0..<8).map { memory[$0, as: UInt8.self] } == Array("POOLBUS\0".utf8))
    #expect(memory[8, as: UInt64.self] == 3)
    #expect(memory[64, as: UInt64.self] == 5 << 32 | 2)
    #expect(memory[72, as: UInt64.self] == 5 << 32 | 3)
    #expect(memory[80, as: UInt64.self] == 40)
    #expect(memory[128, as: UInt64.self] == 3)

    #expect((4096..<4101).map { memory[$0, as: UInt8.self] } == [1, 2, 3, 9, 8])
    #expect(memory[4160, as: UInt8.self] == 4)

    let slot = 8192 - 64
    #expect(memory[slot, as: UInt64.self] == 41)
    #expect(memory[slot + 8, as: UInt64.self] == 4096)
    #expect(memory[slot + 16, as: UInt64.self] == 3)
    #expect(memory[slot + 24, as: UInt64.self] == 1234)
    #expect(memory[slot + 32, as: UInt64.self] == 4099)
    #expect(memory[slot + 40, as: UInt32.self] == 2)
    #expect(memory[slot + 44, as: UInt32.self] == 1)
    #expect(memory[slot + 48, as: UInt32.self] == 1)
    #expect(memory[slot + 52, as: UInt32.self] == 0)
    // Fixed since layout version 1: a change of the checksum is a change of the layout.
    #expect(memory[slot + 56, as: UInt64.self] == 0xA751_66D5_14D4_A3B6)
    #expect(memory[slot - 64, as: UInt64.self] == 42)
    #expect(memory[slot - 64 + 8, as: UInt64.self] == 4160)
  }
}
