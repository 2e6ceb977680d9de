import Testing
import Vocabulary

@Suite struct GivenIDTests {
  @Test(
    arguments: [
      ("3", 3), ("3@1", 1 << 32 | 3), ("3@6c90f", 0x6C90F << 32 | 3), ("4294967295@1fffff", 1 << 53 - 1),
    ] as [(String, UInt64)])
  func isReadAsItIsWritten(text: String, id: UInt64) {
    #expect(SegmentID(rawValue: id).text == text)
    #expect(SegmentID(text: text) == SegmentID(rawValue: id))
    #expect(SegmentID(text: "\(id)") == SegmentID(rawValue: id))
  }

  @Test(arguments: ["", "@", "3@", "@6c90f", "-3", "3@0", "3@6c90f@1", "4294967296@1", "3@xyz", "segment 3"])
  func isNotGuessed(text: String) {
    #expect(SegmentID(text: text) == nil)
  }

  @Test func saysWhichLifeItIsOf() {
    #expect(StreamID(rawValue: 0x6C90F << 32 | 3).description == "stream 3@6c90f")
  }
}
