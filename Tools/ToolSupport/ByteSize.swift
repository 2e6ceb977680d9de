/// A number of bytes as people write and read it: `4096`, `512MiB`, `1.5 GiB`.
public struct ByteSize: Hashable, Sendable, CustomStringConvertible {
  public var bytes: UInt64

  public init(_ bytes: UInt64) { self.bytes = bytes }

  /// Units are binary but for `kB`, `MB`, `GB` and `TB`; case does not matter.
  ///
  /// - Throws: ``InvalidQuantity`` if the text is no size, or one beyond 64 bits.
  public init(text: String) throws(InvalidQuantity) {
    guard let (number, unit) = Quantity.split(text), let factor = Self.factors[unit.lowercased()],
      let bytes = Quantity.multiply(number, by: factor)
    else {
      throw InvalidQuantity(allowed: "a number of bytes, alone or with a unit, as in 4096, 64KiB, 512MiB or 2GiB")
    }
    self.init(bytes)
  }

  private static let factors: [String: UInt64] = [
    "": 1, "b": 1,
    "k": 1 << 10, "kib": 1 << 10, "kb": 1_000,
    "m": 1 << 20, "mib": 1 << 20, "mb": 1_000_000,
    "g": 1 << 30, "gib": 1 << 30, "gb": 1_000_000_000,
    "t": 1 << 40, "tib": 1 << 40, "tb": 1_000_000_000_000,
  ]

  public var description: String {
    guard bytes >= 1 << 10 else { return "\(bytes) B" }
    var value = Double(bytes)
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
      value /= 1024
      let rounded = (value * 10).rounded() / 10
      if rounded < 1024 { return "\(rounded) \(unit)" }
    }
    return "\((value / 1024 * 10).rounded() / 10) EiB"
  }
}
