import Glibc
import Platform

/// A control group of its own with a memory limit, as a container has. It is gone when this is let go, all of its processes
/// having ended.
final class MemoryLimit {
  private let folder: String

  /// Whether groups with limits can be made here at all: as root, where they are mounted.
  static let isPossible = MemoryLimit(byteCount: 1 << 30) != nil

  init?(byteCount: Int) {
    let name = "poolbus-test-\(getpid())"
    // Version 1, or version 2 where the controller is handed down.
    for (mount, file) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
      let folder = "\(mount)/\(name)"
      // SAFETY: the kernel copies the path.
      guard unsafe mkdir(folder, 0o700) == 0 else { continue }
      if (try? File.write("\(byteCount)", to: "\(folder)/\(file)")) != nil {
        self.folder = folder
        return
      }
      // SAFETY: as above.
      unsafe _ = rmdir(folder)
    }
    return nil
  }

  deinit {
    // SAFETY: the kernel copies the path.
    unsafe _ = rmdir(folder)
  }

  /// A shell's command that puts itself, and what it starts, below the limit.
  var entering: String { "echo $$ > \(folder)/cgroup.procs" }
}
