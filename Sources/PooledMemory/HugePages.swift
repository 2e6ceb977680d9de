import Glibc
import Platform

/// Huge pages for pooled memory. They are used where they are to be had, and never required.
public enum HugePages {
  static let byteCount = 2 << 20

  /// For people, as in "used from 2 MiB on". Found out once in a process's life, by making one.
  public static var status: String { describe(areAvailable: areAvailable, setting: setting) }

  package static func describe(areAvailable: Bool, setting: String?) -> String {
    if areAvailable { return "used from 2 MiB on" }
    guard let setting else { return "unavailable: the kernel has none for shared memory" }
    return "unavailable: the kernel gave none, and shmem_enabled is \(setting)"
  }

  /// Whether the host has one, of shared memory, at the moment of the first look.
  package static let areAvailable: Bool = {
    do {
      let file = try MemoryFile.create(name: "poolbus-huge-page", byteCount: byteCount)
      gather(for: file, byteCount: byteCount, subject: "a huge page")
      // One page of it was touched: if all of it is there, it is one page.
      return try MemoryFile.status(of: file.raw).backedByteCount >= byteCount
    } catch {
      return false
    }
  }()

  /// Backs each whole 2 MiB of a file that has no pages yet with a huge one, and is without effect where there is none.
  ///
  /// `MADV_COLLAPSE` (Linux 6.1) makes them whatever the settings below /sys/kernel/mm/transparent_hugepage say, but for
  /// "deny"; of each, one page must be there before, says madvise(2). Where the settings give huge pages by themselves, that
  /// one comes as such. It takes a fifth of the time that so many small pages take.
  static func gather(for file: borrowing OwnedDescriptor, byteCount: Int, subject: String) {
    let whole = byteCount - byteCount % Self.byteCount
    // What fails here is done with small pages, or told, by whoever backs the rest.
    guard whole > 0,
      let mapping = try? Mapping.map(file, byteCount: whole, access: .write, populate: false, subject: subject)
    else { return }
    for offset in stride(from: 0, to: whole, by: Self.byteCount) {
      // SAFETY: within the mapping; it writes a byte of the page as it is.
      guard unsafe madvise(mapping.base + offset, Memory.pageByteCount, MADV_POPULATE_WRITE) == 0 else { return }
    }
    // SAFETY: this does not change what the bytes are.
    _ = unsafe madvise(mapping.base, whole, adviceToCollapse)
  }

  /// `MADV_COLLAPSE` of the kernel's header; this system's glibc has no name for it.
  private static let adviceToCollapse: CInt = 25

  /// How the kernel decides on huge pages for shared memory that does not ask as above; nil if it has none.
  package static var setting: String? {
    systemText(of: "/sys/kernel/mm/transparent_hugepage/shmem_enabled").flatMap { selection(of: $0) }
  }

  /// The word in brackets: "advise" of "always [advise] never".
  package static func selection(of text: String) -> String? {
    guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]") else { return nil }
    return String(text[text.index(after: open)..<close])
  }
}
