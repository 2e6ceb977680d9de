import BusProtocol
import TestSupport
import Testing
import Vocabulary

@Suite struct AttributesCodecTests {
  @Test(arguments: RoundTripTests.seeds)
  func `attributes come back as they went`(seed: UInt64) throws {
    var samples = Samples(seed: seed)
    for _ in 0..<200 {
      let attributes = samples.attributes()
      let bytes = try AttributesCodec.encode(attributes)
      #expect(bytes.isEmpty == attributes.isEmpty)
      #expect(try AttributesCodec.decode(bytes) == attributes)
    }
  }

  @Test func `equal attributes give equal bytes`() throws {
    let keys = (0..<100).map { "key \($0)" }
    let one = MessageAttributes(user: Dictionary(uniqueKeysWithValues: keys.map { ($0, "v") }))
    var two = MessageAttributes()
    two.user.reserveCapacity(5000)
    for key in keys.reversed() { two.user[key] = "v" }
    #expect(try AttributesCodec.encode(one) == AttributesCodec.encode(two))
  }

  @Test func `the many and the large that fit come back, one byte more is refused`() throws {
    // A field of 16,381 bytes has a tag and a length of two bytes.
    let whole = MessageAttributes(contentType: String(repeating: "x", count: 16_381))
    #expect(try AttributesCodec.decode(AttributesCodec.encode(whole)) == whole)
    let over = MessageAttributes(contentType: String(repeating: "x", count: 16_382))
    let error = #expect(throws: ProtocolError.self) { try AttributesCodec.encode(over) }
    #expect(error?.description == "Attributes takes 16385 bytes; 16384 are allowed")

    // The smallest pairs grow the most in memory.
    for count in [10, 16, 17, 36, 47, 48, 49, 112, 113, 240, 241, 496, 497, 1008, 1009, 2000] {
      let keys = (0..<count).map { String($0, radix: 36) }
      let many = MessageAttributes(user: Dictionary(uniqueKeysWithValues: keys.map { ($0, "") }))
      #expect(try AttributesCodec.decode(AttributesCodec.encode(many)) == many)
    }
    let tooMany = MessageAttributes(
      user: Dictionary(uniqueKeysWithValues: (0..<100_000).map { (String($0), "") }))
    #expect(throws: ProtocolError.self) { try AttributesCodec.encode(tooMany) }
  }

  @Test(arguments: [
    "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
    "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", "00-af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  ])
  func `what is no traceparent is refused both ways`(text: String) {
    let error = #expect(throws: ProtocolError.self) { try AttributesCodec.encode(MessageAttributes(traceParent: text)) }
    #expect(error?.field == "trace_parent")
    if !text.isEmpty { #expect(attributesError(Wire.text(2, text))?.field == "trace_parent") }
  }

  @Test func `a key comes once`() {
    let pair = Wire.bytes(4, Wire.text(1, "a") + Wire.text(2, "b"))
    #expect(attributesError(pair) == nil)
    #expect(attributesError(pair + pair)?.description == "Attributes.user has 'a' twice")
  }

  @Test func `a NUL is refused`() {
    for attributes in [
      MessageAttributes(contentType: "a\0"), MessageAttributes(traceState: "\0"), MessageAttributes(user: ["\0": "a"]),
      MessageAttributes(user: ["a": "\0"]),
    ] {
      let error = #expect(throws: ProtocolError.self) { try AttributesCodec.encode(attributes) }
      #expect(error?.problem == "holds a NUL")
    }
  }
}
