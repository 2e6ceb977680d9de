extension MutableRawSpan {
  /// Copies bytes to the front of this span; what lies behind them stays.
  ///
  /// The span must have room for them.
  public mutating func copy(from source: Span<UInt8>) {
    precondition(source.count <= byteCount, "more bytes than the span has room for")
    // SAFETY: the room is checked; memory that is written is never memory that somebody else borrows.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        if source.count > 0 { unsafe target.copyMemory(from: source) }
      }
    }
  }
}
