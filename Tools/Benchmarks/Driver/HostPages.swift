import Foundation

/// The pages of this machine, of which a virtual one has not all: what is free for some seconds its host takes back, and to
/// find it again takes the host seconds for each GB. That is nobody's latency, so it is done before a work that needs much.
enum HostPages {
  /// Less than this is found at the first warm-up.
  private static let least = 1 << 30

  /// Has the host find so many bytes, as far as nobody is harmed by that, and leaves them free.
  static func find(_ byteCount: Int) {
    let byteCount = min(byteCount, most())
    guard byteCount >= least,
      let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), base != MAP_FAILED
    else { return }
    madvise(base, byteCount, MADV_HUGEPAGE)
    madvise(base, byteCount, MADV_POPULATE_WRITE)
    munmap(base, byteCount)
  }

  /// Half of the memory that is free; none where a control group has a limit, as in a container: who reaches it is killed.
  ///
  /// - Parameter read: gives a file's text; nil if there is none.
  static func most(read: (String) -> String? = { try? String(contentsOfFile: $0, encoding: .utf8) }) -> Int {
    let line = read("/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    guard let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }), !hasLimit(read) else {
      return 0
    }
    return kibibytes / 2 * 1024
  }

  private static func hasLimit(_ read: (String) -> String?) -> Bool {
    // NUMBER:CONTROLLERS:PATH, a group within the other; in a container the path may be the host's, and not be there.
    let paths = (read("/proc/self/cgroup") ?? "").split(separator: "\n").compactMap { line in
      line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).dropFirst(2).first
    }
    let folders = paths.flatMap { path in
      path.split(separator: "/").reduce(into: [""]) { $0.append("\($0[$0.count - 1])/\($1)") }
    }
    // Without a limit, version 2 says "max", and version 1 the largest number of whole pages.
    let limits = folders.flatMap { folder in
      ["/sys/fs/cgroup\(folder)/memory.max", "/sys/fs/cgroup/memory\(folder)/memory.limit_in_bytes"]
    }.compactMap { read($0).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } }
    return limits.contains { $0 < Int.max >> 1 }
  }
}
