extension Duration {
  /// Whole nanoseconds, as many as fit; none if it is negative.
  package var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (product, overflows) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    return overflows ? .max : product.addingClamped(UInt64(attoseconds) / 1_000_000_000)
  }
}

extension UInt64 {
  /// The sum, or what is most.
  package func addingClamped(_ other: UInt64) -> UInt64 {
    let (sum, overflows) = addingReportingOverflow(other)
    return overflows ? .max : sum
  }
}
