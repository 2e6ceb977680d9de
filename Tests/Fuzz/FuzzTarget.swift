import Glibc

/// What is done with an input. A target returns, whatever the input is; what should not be, ends the process.
typealias FuzzTarget = @Sendable (RawSpan) -> Void

let fuzzTargets: [String: FuzzTarget] = [
  "client-message": fuzzClientMessage,
  "node-message": fuzzNodeMessage,
  "attributes": fuzzAttributes,
  "handle": fuzzHandle,
  "segment": fuzzSegment,
  "cursor": fuzzCursor,
  "node": fuzzNode,
]

/// Ends the process; libFuzzer keeps the input.
func fail(_ what: String) -> Never {
  // Not through a buffer, which an abort would lose.
  var text = "\nFOUND: \(what)\n"
  text.withUTF8 { bytes in _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  abort()
}

func require(_ holds: Bool, _ what: @autoclosure () -> String) {
  if !holds { fail(what()) }
}

/// Whether targets shall have the bugs that `Tools/fuzz --prove` plants, one in each.
let hasPlantedBugs = unsafe getenv("POOLBUS_FUZZ_PLANT") != nil

/// A planted bug: something that should be handled, and here is not.
func plant(_ happens: @autoclosure () -> Bool, _ what: String) {
  if hasPlantedBugs, happens() { fail("the planted bug: \(what)") }
}

/// Takes an input apart from its front. Behind its end come zeros.
struct InputReader: ~Escapable {
  private let bytes: RawSpan
  private var offset = 0

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan) { self.bytes = bytes }

  var isAtEnd: Bool { offset >= bytes.byteCount }

  @_lifetime(self: copy self)
  mutating func byte() -> UInt8 {
    guard offset < bytes.byteCount else { return 0 }
    defer { offset += 1 }
    // SAFETY: any byte is a UInt8; the offset was checked.
    return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// A whole number, little-endian.
  @_lifetime(self: copy self)
  mutating func word<Word: FixedWidthInteger & UnsignedInteger>(_ type: Word.Type = Word.self) -> Word {
    var word: Word = 0
    for index in 0..<Word.bitWidth / 8 { word |= Word(byte()) << Word(8 * index) }
    return word
  }

  /// A number that is small, or at an edge, or any.
  @_lifetime(self: copy self)
  mutating func number() -> UInt64 {
    switch byte() {
    case let small where small < 0xf0: UInt64(small)
    case 0xf0: .max
    case 0xf1: .max - 1
    case 0xf2: 1 << 63
    case 0xf3: UInt64(UInt32.max)
    default: word()
    }
  }

  /// As many of the following bytes as the next one says, or as there are.
  @_lifetime(self: copy self)
  mutating func bytes(_ maximum: Int) -> [UInt8] {
    let count = min(Int(byte()), maximum, bytes.byteCount - min(offset, bytes.byteCount))
    var taken: [UInt8] = []
    for _ in 0..<count { taken.append(byte()) }
    return taken
  }
}
