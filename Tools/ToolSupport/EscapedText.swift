/// Bytes as a terminal may show them: text as it is, and everything that is none, or would drive the terminal, escaped.
public enum EscapedText {
  /// Escapes control characters, `\n` and `\t` too.
  public static func line(_ text: String) -> String {
    var escaped: [UInt8] = []
    append(text.utf8.span, to: &escaped, keepingLines: false)
    return String(decoding: escaped, as: UTF8.self)
  }

  /// Hands the escaped payload on in chunks; `\n` and `\t` stay as they are.
  public static func lines(_ bytes: Span<UInt8>, emit: ([UInt8]) throws -> Void) rethrows {
    let chunk = 64 << 10
    var escaped: [UInt8] = []
    escaped.reserveCapacity(chunk + chunk / 8)
    var start = 0
    while start < bytes.count {
      let end = endOfChunk(bytes, from: start, count: chunk)
      append(bytes.extracting(start..<end), to: &escaped, keepingLines: true)
      try emit(escaped)
      escaped.removeAll(keepingCapacity: true)
      start = end
    }
  }

  /// Where to cut so that no character is cut in two: before a byte that starts one.
  private static func endOfChunk(_ bytes: Span<UInt8>, from start: Int, count: Int) -> Int {
    guard bytes.count - start > count else { return bytes.count }
    let limit = start + count
    return (limit - 3...limit).last { bytes[$0] & 0xC0 != 0x80 } ?? limit
  }

  private static func append(_ bytes: Span<UInt8>, to escaped: inout [UInt8], keepingLines: Bool) {
    var start = 0
    while start < bytes.count {
      do {
        _ = try UTF8Span(validating: bytes.extracting(start...))
        return appendText(bytes.extracting(start...), to: &escaped, keepingLines: keepingLines)
      } catch {
        let damage = error.byteOffsets
        appendText(bytes.extracting(start..<start + damage.lowerBound), to: &escaped, keepingLines: keepingLines)
        let end = start + max(damage.upperBound, 1)
        for index in start + damage.lowerBound..<end { appendHexadecimal(bytes[index], to: &escaped) }
        start = end
      }
    }
  }

  /// Valid UTF-8, of which only the control characters C0, DEL and C1 (`C2 80` to `C2 9F`) are escaped.
  private static func appendText(_ text: Span<UInt8>, to escaped: inout [UInt8], keepingLines: Bool) {
    var index = 0
    while index < text.count {
      let byte = text[index]
      index += 1
      switch byte {
      case 0x0A where keepingLines, 0x09 where keepingLines: escaped.append(byte)
      case 0x0A: escaped += "\\n".utf8
      case 0x09: escaped += "\\t".utf8
      case ..<0x20, 0x7F: appendHexadecimal(byte, to: &escaped)
      case 0xC2 where text[index] < 0xA0:
        appendHexadecimal(byte, to: &escaped)
        appendHexadecimal(text[index], to: &escaped)
        index += 1
      default: escaped.append(byte)
      }
    }
  }

  private static func appendHexadecimal(_ byte: UInt8, to escaped: inout [UInt8]) {
    let digits = String(byte, radix: 16, uppercase: true)
    escaped += "\\x\(byte < 16 ? "0" : "")\(digits)".utf8
  }
}
