/// An id that a node gives: a number in one of its lives, see ``NodeLife``.
public protocol GivenID: RawRepresentable<UInt64> {}

extension GivenID {
  /// As people read and write it: the number, and the life in hexadecimal, as in `3@6c90f`.
  public var text: String {
    let (life, number) = (rawValue >> 32, rawValue & 0xFFFF_FFFF)
    return life == 0 ? "\(number)" : "\(number)@\(String(life, radix: 16))"
  }

  /// Reads what ``text`` writes, and whole numbers as in JSON; nil if it is neither.
  public init?(text: String) {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 1 {
      guard let whole = UInt64(text) else { return nil }
      self.init(rawValue: whole)
    } else {
      guard let number = UInt32(parts[0]), let life = UInt32(parts[1], radix: 16), life > 0 else { return nil }
      self.init(rawValue: UInt64(life) << 32 | UInt64(number))
    }
  }

  /// The number alone, which names it as long as there is one life only.
  public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
