import BusProtocol
import TestSupport
import Testing
import Vocabulary

/// Whatever comes is decoded or refused; nothing crashes, and what is refused is named.
@Suite struct HostileInputTests {
  @Test func `a message cut anywhere is decoded or refused`() throws {
    var samples = Samples(seed: 11)
    let encoded =
      try samples.clientMessages().map { try $0.encoded() } + samples.nodeMessages().map { try $0.encoded() }
    for bytes in encoded where bytes.count < 2000 {
      // Cut within its one field, the whole is always bad.
      for count in 0..<bytes.count {
        #expect(clientError(Array(bytes[..<count])) != nil)
        #expect(nodeError(Array(bytes[..<count])) != nil)
      }
    }
  }

  @Test(arguments: [UInt64(21), .random(in: 22...(.max))])
  func `random bytes are decoded or refused`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var refused = 0
    for _ in 0..<100_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      for error in [clientError(bytes), nodeError(bytes), handleError(bytes), attributesError(bytes)] where error != nil
      {
        refused += 1
      }
    }
    #expect(refused > 300_000)
  }

  @Test(arguments: [UInt64(31), .random(in: 32...(.max))])
  func `damaged messages are decoded or refused`(seed: UInt64) throws {
    var samples = Samples(seed: seed)
    for _ in 0..<5 {
      let encoded =
        try samples.clientMessages().map { try $0.encoded() } + samples.nodeMessages().map { try $0.encoded() }
        + [try AttributesCodec.encode(samples.attributes())]
      for var bytes in encoded where !bytes.isEmpty {
        for _ in 0..<20 {
          bytes[samples.int(0...min(bytes.count - 1, 200))] = UInt8(samples.int(0...255))
          _ = (clientError(bytes), nodeError(bytes), attributesError(bytes), handleError(bytes))
        }
      }
    }
  }

  @Test func `what is too large is refused before it is read`() {
    #expect(clientError([UInt8](repeating: 0, count: 65_537))?.problem == "has 65537 bytes; 65536 are allowed")
    #expect(nodeError([UInt8](repeating: 0, count: 65_537))?.problem == "has 65537 bytes; 65536 are allowed")
    #expect(handleError([UInt8](repeating: 0, count: 257))?.problem == "has 257 bytes; 256 are allowed")
    #expect(attributesError([UInt8](repeating: 0, count: 16_385))?.problem == "has 16385 bytes; 16384 are allowed")
  }

  @Test func `tiny rows that would grow large in memory are refused`() {
    for row in UInt64(4)...9 {
      let rows = Wire.number(1, 1) + (0..<30_000).flatMap { _ in Wire.bytes(row, []) }
      #expect(nodeError(Wire.bytes(12, rows))?.problem == "would take far more memory than it has bytes")
    }
    let unknown = (0..<120).flatMap { _ in Wire.number(15, 0) }
    #expect(handleError(unknown)?.problem == "has more unknown fields than this version reads")
  }

  @Test func `unknown fields are skipped`() throws {
    let unknown =
      Wire.number(100, 5) + Wire.fixed64(101, 5) + Wire.bytes(102, [0xff, 0]) + Wire.varint(103 << 3 | 5) + [
        1, 2, 3, 4,
      ]
    let hello = Wire.bytes(1, unknown + Wire.number(1, 1) + Wire.text(2, "me") + unknown)
    let expected = ClientMessage.hello(Hello(protocolVersion: 1, name: "me"))
    #expect(try ClientMessage.decode((unknown + hello + unknown)) == expected)
  }

  @Test func `a body is needed, once, and known`() {
    #expect(clientError([])?.description == "ClientMessage.body is missing, or unknown to this version")
    #expect(nodeError(Wire.bytes(99, []))?.description == "NodeMessage.body is missing, or unknown to this version")
    let inspect = Wire.bytes(11, Wire.number(1, 1))
    #expect(clientError(inspect) == nil)
    #expect(clientError(inspect + inspect)?.description == "ClientMessage.inspect comes twice")
    let cancel = Wire.bytes(12, Wire.number(1, 1))
    #expect(clientError(inspect + cancel)?.description == "ClientMessage.cancel_lease is a second body: one is allowed")
    #expect(clientError(Wire.number(11, 1))?.description == "ClientMessage.inspect is encoded as another type")
    #expect(
      clientError(Wire.varint(11 << 3 | 3))?.description == "ClientMessage is cut short, or is no protobuf message")
  }
}
