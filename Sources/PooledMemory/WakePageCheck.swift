import Platform

extension WakePage {
  /// Refuses a descriptor that is no wake page, before it is passed on: a memory file of the right length, which stays.
  ///
  /// - Throws: ``MemoryError``.
  public static func check(_ descriptor: borrowing OwnedDescriptor) throws(MemoryError) {
    try requireSealedFile(descriptor, byteCount: byteCount, subject: "the wake page")
  }
}
