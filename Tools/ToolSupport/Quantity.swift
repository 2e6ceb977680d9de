/// A text that is no quantity.
public struct InvalidQuantity: Error, Hashable, Sendable, CustomStringConvertible {
  /// What would be one, in words.
  public let allowed: String

  public var description: String { "write \(allowed)" }
}

/// A number and its unit in a text.
enum Quantity {
  /// The digits (and one point) that the text starts with, and what follows them; nil if it starts otherwise.
  static func split(_ text: String) -> (number: Substring, unit: String)? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard number.first?.isNumber == true, number.last?.isNumber == true else { return nil }
    let unit = text[number.endIndex...]
    return (number, String(unit.first == " " ? unit.dropFirst() : unit))
  }

  /// Exact for whole numbers; nil beyond 64 bits.
  static func multiply(_ number: Substring, by factor: UInt64) -> UInt64? {
    if let whole = UInt64(number) {
      let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    guard let fraction = Double(number) else { return nil }
    return UInt64(exactly: (fraction * Double(factor)).rounded())
  }
}
