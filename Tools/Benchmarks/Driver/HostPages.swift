import Foundation

/// The pages of this machine, of which a virtual one has not all: what is free for some seconds its host takes back, and to
/// find it again takes the host seconds for each GB. That is nobody's latency, so it is done before a work that needs much.
enum HostPages {
  /// Less than this is found at the first warm-up.
  private static let least = 1 << 30

  /// Has the host find so many bytes, of half the machine's at the most, and leaves them free.
  static func find(_ byteCount: Int) {
    let byteCount = min(byteCount, Int(ProcessInfo.processInfo.physicalMemory / 2))
    guard byteCount >= least,
      let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), base != MAP_FAILED
    else { return }
    madvise(base, byteCount, MADV_HUGEPAGE)
    madvise(base, byteCount, MADV_POPULATE_WRITE)
    munmap(base, byteCount)
  }
}
