/// A length of time as people write and read it: `500ms`, `3.2 s`, `2 h 5 min`.
public struct TimeSpan: Hashable, Sendable, CustomStringConvertible {
  public var nanoseconds: UInt64

  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// Nothing for a negative duration.
  public init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    nanoseconds = overflow ? .max : whole + UInt64(clamping: attoseconds / 1_000_000_000)
  }

  /// - Throws: ``InvalidQuantity`` if the text is no time, or one beyond 64 bits of nanoseconds.
  public init(text: String) throws(InvalidQuantity) {
    guard let (number, unit) = Quantity.split(text), let factor = Self.factors[unit],
      let nanoseconds = Quantity.multiply(number, by: factor)
    else { throw InvalidQuantity(allowed: "a time in seconds, or with a unit, as in 5, 500ms, 2min, 1h or 7d") }
    self.init(nanoseconds: nanoseconds)
  }

  private static let factors: [String: UInt64] = [
    "": 1_000_000_000, "s": 1_000_000_000,
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000,
    "min": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000,
  ]

  public var duration: Duration { .nanoseconds(Int64(clamping: nanoseconds)) }

  public var description: String {
    switch nanoseconds {
    case ..<1_000: return "\(nanoseconds) ns"
    case ..<999_950: return "\(Self.tenths(nanoseconds, of: 1_000)) µs"
    case ..<999_950_000: return "\(Self.tenths(nanoseconds, of: 1_000_000)) ms"
    case ..<59_950_000_000: return "\(Self.tenths(nanoseconds, of: 1_000_000_000)) s"
    default: break
    }
    let seconds = UInt64((Double(nanoseconds) / 1e9).rounded())
    switch seconds {
    case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
    case ..<86_400: return "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
    default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3_600) h"
    }
  }

  private static func tenths(_ nanoseconds: UInt64, of unit: Double) -> Double {
    (Double(nanoseconds) / unit * 10).rounded() / 10
  }
}
