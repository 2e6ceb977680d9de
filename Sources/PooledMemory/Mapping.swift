import Glibc
import Platform
import Synchronization

/// A shared mapping of a whole memory file, unmapped in `deinit`.
///
/// From 2 MiB on it starts at a multiple of 2 MiB, in every process: so an offset that is aligned in the file is an
/// address that is aligned in memory, and huge pages fit. A child made by `fork` does not inherit it, lest it hold the
/// memory unseen.
@safe
struct Mapping: ~Copyable, @unchecked Sendable {
  // Unchecked: the pointer is only an address here. Who may touch which bytes is the owners' affair.

  enum Access { case read, write }

  let base: UnsafeMutableRawPointer
  let byteCount: Int
  /// Called when the memory is unmapped.
  private var onUnmap: (@Sendable () -> Void)?

  /// Maps the file, which must be at least `byteCount` long; the descriptor may be closed afterwards.
  ///
  /// - Parameters:
  ///   - byteCount: more than 0; at most ``SegmentLayout/maximumCapacity``.
  ///   - populate: whether to fill the page tables now, so that first touches do not fault.
  ///   - subject: what is mapped, for the error's text.
  ///   - onUnmap: called when the memory has been unmapped, on whichever thread let go of it last.
  static func map(
    _ file: borrowing OwnedDescriptor, byteCount: Int, access: Access, populate: Bool, subject: String,
    onUnmap: (@Sendable () -> Void)? = nil
  ) throws(MemoryError) -> Mapping {
    let place = unsafe try reserveAddresses(for: byteCount, subject: subject)
    let protection = access == .write ? PROT_READ | PROT_WRITE : PROT_READ
    // SAFETY: `place` is nil, or a range of `byteCount` bytes that was reserved for this and holds nothing.
    let base = unsafe mmap(
      place, byteCount, protection, place == nil ? MAP_SHARED : MAP_SHARED | MAP_FIXED, file.raw, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED else {
      let reason = Errno(rawValue: errno)
      // SAFETY: this gives the reservation back, which nobody has seen.
      if let place = unsafe place { unsafe munmap(place, byteCount) }
      throw .refused(action: "map \(subject)", reason: reason)
    }
    // SAFETY: from here on the mapping owns the range, and unmaps it also if populating it fails.
    var mapping = unsafe Mapping(base: base, byteCount: byteCount)
    mapping.adviseKernel()
    if populate { try mapping.populate(for: access, subject: subject) }
    mapping.onUnmap = onUnmap
    return mapping
  }

  private init(base: UnsafeMutableRawPointer, byteCount: Int) {
    unsafe self.base = unsafe base
    self.byteCount = byteCount
  }

  deinit {
    // SAFETY: every span into the mapping borrows from its owner, so none is left.
    unsafe munmap(base, byteCount)
    onUnmap?()
  }

  /// The atomic word at an offset, which must be a multiple of 8 within the mapping. Store only if mapped for writing.
  ///
  /// Memory shared with other processes has no type; each word that two processes touch at once is touched as an
  /// `Atomic` of its size, and such an `Atomic` is just the word.
  @unsafe borrowing func words(at offset: Int) -> UnsafePointer<Atomic<UInt64>> {
    assert(offset >= 0 && offset % 8 == 0 && offset + 8 <= byteCount)
    // SAFETY: mappings are page-aligned, so a multiple of 8 is aligned; see above for the type.
    return unsafe UnsafeRawPointer(base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Wishes: if the kernel can't, nothing is lost but speed and a forked child's tidiness.
  private borrowing func adviseKernel() {
    // SAFETY: neither advice changes what the bytes are.
    _ = unsafe madvise(base, byteCount, MADV_DONTFORK)
    if byteCount >= HugePages.byteCount { _ = unsafe madvise(base, byteCount, MADV_HUGEPAGE) }
  }

  private borrowing func populate(for access: Access, subject: String) throws(MemoryError) {
    let advice = access == .write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ
    // Kernels before 5.14 know no such advice (EINVAL); there, first touches fault.
    // SAFETY: reads a byte of each page, or writes it as it is.
    if unsafe madvise(base, byteCount, advice) != 0, errno != EINVAL {
      throw .refused(action: "populate the mapping of \(subject)", reason: Errno(rawValue: errno))
    }
  }

  /// Takes address space that starts at a multiple of 2 MiB; nil if the mapping is too small to need that.
  private static func reserveAddresses(
    for byteCount: Int, subject: String
  ) throws(MemoryError) -> UnsafeMutableRawPointer? {
    let alignment = SegmentLayout.maximumAlignment
    guard byteCount >= alignment else { return nil }

    let room = SegmentLayout.roundUp(byteCount, to: Memory.pageByteCount)
    // SAFETY: the kernel chooses the place, so nothing is replaced; without access, no memory is used.
    let reserved = unsafe mmap(nil, room + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let reserved = unsafe reserved, unsafe reserved != MAP_FAILED else {
      throw .refused(action: "reserve addresses for \(subject)", reason: Errno(rawValue: errno))
    }
    let before = SegmentLayout.roundUp(Int(bitPattern: reserved), to: alignment) - Int(bitPattern: reserved)
    let place = unsafe reserved + before
    // SAFETY: what lies before and behind the place belongs to the reservation, and nobody has seen it.
    if before > 0 { unsafe munmap(reserved, before) }
    if before < alignment { unsafe munmap(place + room, alignment - before) }
    return unsafe place
  }
}
