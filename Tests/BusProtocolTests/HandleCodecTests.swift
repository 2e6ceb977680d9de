import BusProtocol
import TestSupport
import Testing
import Vocabulary

@Suite struct HandleCodecTests {
  private func encoded(_ handle: Handle, room: Int = HandleCodec.maximumByteCount) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xaa, count: room)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    let count = HandleCodec.encode(handle, into: &raw)
    return Array(bytes[..<count])
  }

  @Test(arguments: RoundTripTests.seeds)
  func `handles come back as they went, short, and start with their stream`(seed: UInt64) throws {
    var samples = Samples(seed: seed)
    for _ in 0..<5000 {
      let handle = samples.handle()
      let bytes = encoded(handle)
      #expect(bytes.count <= 64)
      #expect(bytes.starts(with: HandleCodec.prefix(of: handle.stream)))
      #expect(try HandleCodec.decode(bytes) == handle)
    }
  }

  static let largest = Handle(
    stream: StreamID(rawValue: .max), segment: SegmentIdentity(id: SegmentID(rawValue: .max), epoch: .max), slot: .max,
    sequence: .max, byteCount: .max, publishTime: .max)

  @Test func `the longest handle fits`() throws {
    #expect(encoded(Self.largest).count == 63)
    #expect(encoded(Self.largest, room: 63).count == 63)
    #expect(encoded(Self.largest, room: 62) == [])
    #expect(encoded(Self.largest, room: 0) == [])
  }

  @Test func `a typical handle has some forty bytes`() {
    let handle = Handle(
      stream: StreamID(rawValue: 3), segment: SegmentIdentity(id: SegmentID(rawValue: 1000), epoch: 7), slot: 300,
      sequence: 1_000_000, byteCount: 8 << 20, publishTime: 1_800_000_000_000_000_000)
    #expect(encoded(handle).count < 45)
  }

  @Test func `a handle cut anywhere is decoded or refused`() {
    let bytes = encoded(Self.largest)
    for count in 0..<bytes.count {
      let whole = handleError(Array(bytes[..<count])) == nil
      // What is left may be a handle without its last fields; never one without those that must be.
      #expect(!whole || count >= 43, "\(count)")
    }
  }

  @Test(
    arguments: [
      ([], "Handle.stream is missing, or 0"),
      (Wire.fixed64(1, 1), "Handle.segment is missing, or 0"),
      (Wire.fixed64(1, 1) + Wire.number(2, 1), "Handle.epoch is missing, or 0"),
      (Wire.fixed64(1, 1) + Wire.number(2, 1) + Wire.number(3, 1), "Handle.sequence is missing, or 0"),
      (Wire.number(3, 1 << 32), "Handle.epoch is 4294967296, which doesn't fit 32 bits"),
      (Wire.number(4, 1 << 32), "Handle.slot is 4294967296, which doesn't fit 32 bits"),
      (Wire.number(1, 1), "Handle.stream is encoded as another type"),
      (Wire.number(2, 1) + Wire.number(2, 1), "Handle.segment comes twice"),
    ] as [([UInt8], String)])
  func `a handle's bad field is named`(bytes: [UInt8], error: String) {
    #expect(handleError(bytes)?.description == error)
  }

  @Test func `a later version's fields are skipped`() throws {
    let bytes = encoded(Self.largest) + Wire.number(8, 5) + Wire.text(9, "later") + Wire.fixed64(1000, 7)
    #expect(try HandleCodec.decode(bytes) == Self.largest)
  }
}
