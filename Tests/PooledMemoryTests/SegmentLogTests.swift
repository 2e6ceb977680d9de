import Glibc
import Platform
import PooledMemory
import Testing
import Vocabulary

@Suite struct SegmentLogTests {
  @Test(arguments: [0, 1, 63, 64, 65, 4096, 1 << 20, 64 << 20])
  func payloadsArriveByteExact(byteCount: Int) throws {
    let attributes = [UInt8](0..<200)
    let capacity = try #require(
      SegmentLayout.capacity(forPayload: byteCount, alignment: 64, attributes: attributes.count))
    let segment = try OpenSegment(capacity: capacity)
    let room = try #require(
      segment.writer.reserve(byteCount: byteCount, alignment: 64, attributes: attributes))
    #expect(room.byteCount == byteCount)

    // A block of prime length, repeated: bytes that came from the wrong place would differ.
    var random = SeededGenerator(seed: UInt64(byteCount))
    let block = (0..<65_537).map { _ in UInt8.random(in: 0...255, using: &random) }
    // SAFETY: the only span of this reservation; blocks are copied and compared within it.
    var span = unsafe segment.writer.mutableBytes(of: room)
    unsafe span.withUnsafeMutableBytes { target in
      for start in stride(from: 0, to: byteCount, by: block.count) {
        let count = min(block.count, byteCount - start)
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[start..<start + count]).copyBytes(from: block[..<count])
      }
    }
    segment.writer.commit(room, byteCount: byteCount, sequence: 1, publishTime: 17, elementStride: 4)

    #expect(segment.reader.committed == 1)
    let slot = try segment.reader.slot(at: 0)
    #expect(slot.sequence == 1 && slot.byteCount == byteCount && !slot.isLast)
    #expect(segment.reader.publishTime(of: slot) == 17 && segment.reader.elementStride(of: slot) == 4)
    #expect(try copy(segment.reader.attributes(of: slot)) == attributes)
    let wrong = unsafe segment.reader.bytes(of: slot).withUnsafeBytes { source in
      stride(from: 0, to: byteCount, by: block.count).first { start in
        let count = min(block.count, byteCount - start)
        return unsafe memcmp(source.baseAddress! + start, block, count) != 0
      }
    }
    #expect(wrong == nil)
  }

  @Test func loansCommitInAnyOrder() throws {
    let segment = try OpenSegment(capacity: 1 << 20)
    var random = SeededGenerator(seed: 1)
    var rooms: [(UInt8, Reservation)] = []
    for number in UInt8(0)..<100 {
      let room = try #require(segment.writer.reserve(byteCount: Int(number)))
      segment.writer.fill(room, with: [UInt8](repeating: number, count: Int(number)))
      rooms.append((number, room))
    }
    #expect(segment.writer.outstanding == 100)
    #expect(segment.reader.committed == 0)

    rooms.shuffle(using: &random)
    for (index, (number, room)) in rooms.enumerated() {
      let slot = segment.writer.commit(
        room, byteCount: Int(number), sequence: UInt64(index) + 1, publishTime: 0, elementStride: 0)
      #expect(slot == UInt32(index))
      #expect(segment.reader.committed == UInt32(index) + 1)
    }
    #expect(segment.writer.outstanding == 0)
    for (index, (number, _)) in rooms.enumerated() {
      #expect(try segment.reader.payload(at: UInt32(index)) == [UInt8](repeating: number, count: Int(number)))
    }
  }

  @Test func cancelledLoansCostNothingButRoom() throws {
    let segment = try OpenSegment(capacity: 8192)
    let writer = segment.writer
    let first = try #require(writer.reserve(byteCount: 64))
    let second = try #require(writer.reserve(byteCount: 3000))
    writer.cancel(second)
    // The last one's room came back.
    let third = try #require(writer.reserve(byteCount: 3000))
    writer.cancel(first)
    writer.commit(third, byteCount: 10, sequence: 1, publishTime: 0, elementStride: 0)
    #expect(writer.outstanding == 0)
    #expect(writer.committed == 1)
    #expect(segment.reader.committed == 1)
    #expect(try segment.reader.slot(at: 0).byteCount == 10)
    #expect(writer.reserve(byteCount: 1000) == nil)
  }

  @Test func aMessageMayEndShort() throws {
    let segment = try OpenSegment(capacity: 8192)
    let room = try #require(segment.writer.reserve(byteCount: 100, alignment: 64, attributes: [7, 7]))
    segment.writer.fill(room, with: [UInt8](0..<100))
    segment.writer.commit(room, byteCount: 3, sequence: 1, publishTime: 0, elementStride: 0)
    let slot = try segment.reader.slot(at: 0)
    #expect(copy(segment.reader.bytes(of: slot)) == [0, 1, 2])
    #expect(try copy(segment.reader.attributes(of: slot)) == [7, 7])
  }

  @Test func roomIsCountedToTheLastByte() throws {
    for attributes in [[], [UInt8](0..<77)] {
      let limit = SegmentLayout.maximumPayload(inCapacity: 16_384, alignment: 64, attributes: attributes.count)
      let segment = try OpenSegment(capacity: 16_384)
      #expect(segment.writer.reserve(byteCount: limit + 1, alignment: 64, attributes: attributes) == nil)
      #expect(segment.writer.append([UInt8](repeating: 5, count: limit), attributes: attributes, sequence: 1))
      #expect(segment.writer.reserve(byteCount: 0) == nil)
      #expect(try segment.reader.payload(at: 0) == [UInt8](repeating: 5, count: limit))
      #expect(try copy(segment.reader.attributes(of: segment.reader.slot(at: 0))) == attributes)
    }
  }

  @Test func outstandingLoansKeepTheirSlots() throws {
    let segment = try OpenSegment(capacity: 8192)
    let writer = segment.writer
    // Nothing but slots: 4096 bytes hold 64 of them, two of them spare, and no payload takes any.
    let rooms = (0..<64).compactMap { _ in writer.reserve(byteCount: 0) }
    #expect(rooms.count == 62)
    #expect(writer.reserve(byteCount: 0) == nil)
    for (index, room) in rooms.enumerated() {
      writer.commit(room, byteCount: 0, sequence: UInt64(index) + 1, publishTime: 0, elementStride: 0)
      #expect(writer.reserve(byteCount: 0) == nil)
    }
    #expect(segment.reader.committed == 62)
    for index in UInt32(0)..<62 { #expect(try segment.reader.slot(at: index).sequence == UInt64(index) + 1) }
  }

  /// Payloads, attributes and slots never overlap, and the segment is used up, whatever is asked for in whatever order.
  @Test(arguments: UInt64(1)...20)
  func randomLoansNeverOverlap(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let segment = try OpenSegment(capacity: 65_536)
    var out: [(Reservation, [UInt8])] = []
    var expected: [[UInt8]] = []
    while true {
      if out.isEmpty || Bool.random(using: &random) {
        let payload = [UInt8](
          repeating: .random(in: 0...255, using: &random), count: .random(in: 0...900, using: &random))
        let attributes = [UInt8](payload.prefix(.random(in: 0...30, using: &random)))
        let alignment = 1 << Int.random(in: 0...10, using: &random)
        guard
          let room = segment.writer.reserve(
            byteCount: payload.count, alignment: alignment, attributes: attributes)
        else { break }
        segment.writer.fill(room, with: payload)
        out.append((room, payload))
      } else {
        let (room, payload) = out.remove(at: .random(in: out.indices, using: &random))
        if Int.random(in: 0..<4, using: &random) == 0 {
          segment.writer.cancel(room)
        } else {
          expected.append(payload)
          segment.writer.commit(
            room, byteCount: payload.count, sequence: UInt64(expected.count), publishTime: 0, elementStride: 0)
        }
      }
    }
    for (room, payload) in out {
      expected.append(payload)
      segment.writer.commit(
        room, byteCount: payload.count, sequence: UInt64(expected.count), publishTime: 0, elementStride: 0)
    }
    #expect(segment.reader.committed == UInt32(expected.count))
    for (index, payload) in expected.enumerated() {
      #expect(try segment.reader.payload(at: UInt32(index)) == payload, "seed \(seed)")
      let slot = try segment.reader.slot(at: UInt32(index))
      #expect(try copy(segment.reader.attributes(of: slot)).allSatisfy { $0 == payload.first }, "seed \(seed)")
    }
  }

  @Test func payloadsAreAlignedOnBothSides() throws {
    var alignment = 1
    while alignment <= SegmentLayout.maximumAlignment {
      // Behind another message, so that luck is no help.
      let capacity = try #require(
        SegmentLayout.capacity(forPayload: 100 + alignment, alignment: alignment, attributes: 64))
      let segment = try OpenSegment(capacity: capacity)
      segment.writer.append([1], sequence: 1)
      let room = try #require(segment.writer.reserve(byteCount: 10, alignment: alignment))
      // SAFETY: the only span of this reservation.
      let span = unsafe segment.writer.mutableBytes(of: room)
      let writersAddress = address(of: span.bytes)
      segment.writer.commit(room, byteCount: 10, sequence: 2, publishTime: 0, elementStride: 0)
      let readersAddress = address(of: segment.reader.bytes(of: try segment.reader.slot(at: 1)))
      #expect(writersAddress % max(64, alignment) == 0)
      #expect(readersAddress % max(64, alignment) == 0)
      alignment *= 2
    }
  }

  @Test func whatCannotBeReservedIsRefused() throws {
    let segment = try OpenSegment(capacity: 65_536)
    for alignment in [0, -1, 3, 96, 8192, 4 << 20, Int.max, Int.min] {
      #expect(segment.writer.reserve(byteCount: 1, alignment: alignment) == nil)
    }
    for byteCount in [-1, Int.min, Int.max, 65_536] { #expect(segment.writer.reserve(byteCount: byteCount) == nil) }
    #expect(segment.writer.outstanding == 0)
  }

  @Test func aSealedLogHasAnEnd() throws {
    let segment = try OpenSegment(capacity: 8192)
    #expect(segment.reader.sealedCount == nil)
    segment.writer.append([1], sequence: 1)
    segment.writer.append([2], sequence: 2)
    #expect(segment.reader.sealedCount == nil)
    segment.writer.seal()
    #expect(segment.writer.isSealed)
    #expect(segment.reader.sealedCount == 2)
    #expect(segment.writer.reserve(byteCount: 0) == nil)
    let empty = try OpenSegment(capacity: 8192)
    empty.writer.seal()
    #expect(empty.reader.sealedCount == 0)
  }

  @Test func everyLifeHasALogOfItsOwn() throws {
    let segment = try OpenSegment(capacity: 8192, epoch: 1)
    for sequence in UInt64(1)...4 { segment.writer.append([UInt8(sequence)], sequence: sequence) }
    segment.writer.seal()
    let next = SegmentReader(mapping: segment.reader.mapping, epoch: 2)
    #expect(next.committed == 0)
    #expect(next.sealedCount == nil)

    segment.writer.begin(epoch: 2)
    #expect(segment.writer.identity == SegmentIdentity(id: SegmentID(rawValue: 1), epoch: 2))
    #expect(segment.reader.committed == 0)
    #expect(segment.reader.sealedCount == nil)
    segment.writer.append([5], sequence: 5)
    #expect(next.committed == 1)
    #expect(try next.payload(at: 0) == [5])
    // Slots of the life before are none of this one's, and the other way round.
    #expect(throws: CorruptSegment.self) { try next.slot(at: 1) }
    #expect(throws: CorruptSegment.self) { try segment.reader.slot(at: 0) }
    #expect(try segment.reader.payload(at: 3) == [4])
  }

  @Test func sequencesAreToldInRanges() throws {
    let segment = try OpenSegment(capacity: 8192)
    #expect(try segment.reader.lastSequence == nil)
    #expect(try segment.reader.sequences(to: 0) == [])
    for sequence: UInt64 in [5, 6, 7, 10, 11, .max, 1, 2] { segment.writer.append([], sequence: sequence) }
    #expect(try segment.reader.lastSequence == 2)
    #expect(try segment.reader.sequences(to: 6) == [5...7, 10...11, .max ... .max])
    #expect(try segment.reader.sequences(from: 1, to: 3) == [6...7])
    // They rise in every log that is in order.
    #expect(#expect(throws: CorruptSegment.self) { try segment.reader.sequences(to: 7) }?.field == .sequence)
    #expect(try segment.reader.sequences(from: 6, to: 8) == [1...2])
    #expect(throws: CorruptSegment.self) { try segment.reader.sequences(from: 6, to: 9) }
    segment.writer.append([], sequence: 2)
    let repeated = #expect(throws: CorruptSegment.self) { try segment.reader.sequences(from: 6, to: 9) }
    #expect(repeated?.allowed == 3...UInt64.max)
  }

  @Test func bytesOutliveTheFileAndTheWriter() throws {
    func readerOfTheDead() throws -> SegmentReader {
      let segment = try OpenSegment(capacity: 8192)
      segment.writer.append([1, 2, 3], sequence: 1)
      return segment.reader
    }
    #expect(try readerOfTheDead().payload(at: 0) == [1, 2, 3])
  }

  @Test func aSlotOfAnotherSegmentIsNoWildRead() async {
    await #expect(processExitsWith: .failure) {
      let large = try OpenSegment(capacity: 1 << 20)
      large.writer.append([UInt8](repeating: 1, count: 100_000), sequence: 1)
      let small = try OpenSegment(capacity: 8192)
      _ = small.reader.bytes(of: try large.reader.slot(at: 0)).byteCount
    }
  }
}
