/// Whether this host gives huge pages to pooled memory. They are used where they are to be had, and never required.
public enum HugePages {
  /// How the kernel decides on huge pages for shared memory: a word of `shmem_enabled`.
  package enum Policy: String, Sendable {
    case always
    case withinSize = "within_size"
    case advise
    case never
    case deny
    case force
    /// The kernel has none, or doesn't say.
    case unknown
  }

  static let byteCount = 2 << 20

  /// For people, as in "unavailable: shmem_enabled is never". Read once in a process's life.
  public static var status: String { describe(policy) }

  package static func describe(_ policy: Policy) -> String {
    switch policy {
    case .always, .withinSize, .advise, .force: "used from 2 MiB on: shmem_enabled is \(policy.rawValue)"
    case .never, .deny: "unavailable: shmem_enabled is \(policy.rawValue)"
    case .unknown: "unavailable: the kernel has no transparent huge pages for shared memory"
    }
  }

  /// Whether a mapping of this length should ask for huge pages.
  static func areWorthAsking(for byteCount: Int) -> Bool {
    guard byteCount >= self.byteCount else { return false }
    switch policy {
    case .always, .withinSize, .advise, .force: return true
    case .never, .deny, .unknown: return false
    }
  }

  /// Whether the kernel gives huge pages only to mappings that ask, hence none to `fallocate`.
  static func needAsking(for byteCount: Int) -> Bool {
    policy == .advise && byteCount >= self.byteCount
  }

  private static let policy: Policy = {
    let directory = "/sys/kernel/mm/transparent_hugepage"
    // Kernels from 6.11 on decide by size, and the size may refer to the setting for all.
    if let forSize = selection(in: "\(directory)/hugepages-2048kB/shmem_enabled"), forSize != "inherit" {
      return Policy(rawValue: forSize) ?? .unknown
    }
    return selection(in: "\(directory)/shmem_enabled").flatMap { Policy(rawValue: $0) } ?? .unknown
  }()

  /// The word in brackets: "advise" of "always [advise] never".
  package static func selection(of text: String) -> String? {
    guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]") else { return nil }
    return String(text[text.index(after: open)..<close])
  }

  private static func selection(in path: String) -> String? {
    systemText(of: path).flatMap { selection(of: $0) }
  }
}
