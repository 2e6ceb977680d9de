import Glibc
import Platform

/// The directory of the node's socket: its permissions say who may join.
enum RuntimeDirectory {
  /// Makes the directory if it is missing, for those who may connect; its parent must exist.
  ///
  /// Clients make the sockets of their handles there, too: who may connect may make files, and take away only their own.
  static func prepare(for socketPath: String, _ access: SocketAccess) throws(NodeError) {
    guard let slash = socketPath.lastIndex(of: "/"), slash != socketPath.startIndex else { return }
    let directory = String(socketPath[..<slash])
    // SAFETY: the kernel copies the path.
    if unsafe mkdir(directory, 0o700) != 0 {
      let failure = Errno(rawValue: errno)
      guard failure != .fileExists else { return }
      throw .directory(path: directory, problem: "it is missing and can't be made: \(failure)")
    }
    let mode = access.directoryMode
    guard mode != 0o700 || access.group != nil else { return }
    if let group = access.group, unsafe chown(directory, .max, group) != 0 {
      throw .directory(path: directory, problem: "it can't be given to group \(group): \(Errno(rawValue: errno))")
    }
    if unsafe chmod(directory, mode) != 0 {
      throw .directory(path: directory, problem: "it can't be opened to others: \(Errno(rawValue: errno))")
    }
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

  /// Whether so many more can be opened at present.
  ///
  /// - Parameter raw: any that is open.
  static func leaves(_ count: Int, beside raw: CInt) -> Bool {
    guard count > 0 else { return true }
    guard let one = try? OwnedDescriptor.duplicating(raw) else { return false }
    defer { withExtendedLifetime(one) {} }
    return leaves(count - 1, beside: raw)
  }
}
