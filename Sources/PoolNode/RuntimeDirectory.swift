import Glibc
import Platform

/// The directory of the node's socket: its permissions say who may join.
enum RuntimeDirectory {
  /// Makes the directory if it is missing, for this user alone; its parent must exist.
  static func prepare(for socketPath: String) throws(NodeError) {
    guard let slash = socketPath.lastIndex(of: "/"), slash != socketPath.startIndex else { return }
    let directory = String(socketPath[..<slash])
    // SAFETY: the kernel copies the path.
    guard unsafe mkdir(directory, 0o700) != 0 else { return }
    let failure = Errno(rawValue: errno)
    guard failure != .fileExists else { return }
    throw .directory(path: directory, problem: "it is missing and can't be made: \(failure)")
  }
}

/// Every segment, client and mapping in transit costs a descriptor.
public enum DescriptorLimit {
  /// Raises the process's soft limit to its hard one.
  public static func raise() {
    var limit = rlimit()
    // SAFETY: both calls use the structure only until they return.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
