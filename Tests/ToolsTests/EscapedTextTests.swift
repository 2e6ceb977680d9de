import Testing
import ToolSupport

@Suite struct EscapedTextTests {
  private func lines(_ bytes: [UInt8]) -> [UInt8] {
    var escaped: [UInt8] = []
    EscapedText.lines(bytes.span) { escaped += $0 }
    return escaped
  }

  @Test(arguments: [
    ("plain", "plain"), ("tab\tand\nline", "tab\tand\nline"), ("héllo ✅ 👩‍🚀", "héllo ✅ 👩‍🚀"),
    ("\u{1B}[31mred", "\\x1B[31mred"), ("bell\u{7}\u{7F}", "bell\\x07\\x7F"), ("c1\u{9B}31m", "c1\\xC2\\x9B31m"),
    ("\u{A0}", "\u{A0}"), ("a\rb", "a\\x0Db"),
  ])
  func textStaysAndControlCharactersAreEscaped(text: String, escaped: String) {
    #expect(String(decoding: lines(Array(text.utf8)), as: UTF8.self) == escaped)
  }

  @Test(
    arguments: [
      ([0xFF], "\\xFF"), ([0x61, 0xFF, 0xFE, 0x62], "a\\xFF\\xFEb"), ([0xC3], "\\xC3"), ([0xC3, 0x28], "\\xC3("),
      ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"), ([0xF0, 0x9F, 0x98], "\\xF0\\x9F\\x98"), ([0x80, 0xC3, 0xA9], "\\x80é"),
      ([0x00], "\\x00"),
    ] as [([UInt8], String)])
  func whatIsNoTextIsEscaped(bytes: [UInt8], escaped: String) {
    #expect(String(decoding: lines(bytes), as: UTF8.self) == escaped)
  }

  @Test func linesOfNamesStayOnOneLine() {
    #expect(EscapedText.line("a\nb\tc\u{1B}") == "a\\nb\\tc\\x1B")
  }

  /// Wherever the chunks are cut, no character is.
  @Test(arguments: 0..<4) func chunksAreCutBetweenCharacters(shift: Int) {
    let text = String(repeating: "x", count: shift) + String(repeating: "👋", count: 50_000)
    #expect(lines(Array(text.utf8)) == Array(text.utf8))
  }

  @Test func continuationBytesWithoutEndAreEscapedOnceEach() {
    let bytes = [UInt8](repeating: 0x80, count: 200_000)
    #expect(lines(bytes).count == 800_000)
  }
}
