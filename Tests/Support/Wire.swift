/// Protobuf by hand, so that anything at all can be said, also what no encoder would.
public enum Wire {
  public static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  public static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { varint(field << 3) + varint(value) }
  public static func fixed64(_ field: UInt64, _ value: UInt64) -> [UInt8] {
    varint(field << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  public static func bytes(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
    varint(field << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }
  public static func text(_ field: UInt64, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }

  /// The fields of a message that was received; nil if it is none.
  public static func fields(of bytes: ArraySlice<UInt8>) -> [UInt64: Value]? {
    var rest = bytes
    var fields: [UInt64: Value] = [:]
    func varint() -> UInt64? {
      var value: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 7) {
        guard let byte = rest.popFirst() else { return nil }
        value |= UInt64(byte & 0x7f) << shift
        if byte < 0x80 { return value }
      }
      return nil
    }
    while !rest.isEmpty {
      guard let tag = varint() else { return nil }
      switch tag & 7 {
      case 0:
        guard let value = varint() else { return nil }
        fields[tag >> 3] = .number(value)
      case 2:
        guard let count = varint(), count <= rest.count else { return nil }
        fields[tag >> 3] = .bytes(rest.prefix(Int(count)))
        rest = rest.dropFirst(Int(count))
      default: return nil
      }
    }
    return fields
  }

  public enum Value: Sendable {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
  }
}
