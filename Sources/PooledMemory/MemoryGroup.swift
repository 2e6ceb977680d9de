import Platform

/// What the control groups that this process is in still allow it, as with a container's memory limit.
///
/// Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`, "Memory", and `cgroup-v1/memory.rst`.
package struct MemoryGroup {
  /// The files of one version, in each group's folder.
  private struct Files {
    var limit, usage, reclaimable: String
  }

  private static let version2 = Files(
    limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file")
  private static let version1 = Files(
    limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file")

  /// Folders of groups, each within the next, and what their files are called.
  private let folders: [String]
  private let files: Files
  private let read: (String) -> String?

  /// The smallest number of bytes that a group still allows; nil if none has a limit.
  ///
  /// - Parameter read: gives a file's text; nil if there is none.
  package static func availableByteCount(read: (String) -> String? = { systemText(of: $0) }) -> Int? {
    withoutActuallyEscaping(read) { read in
      groups(read).compactMap { group in group.folders.compactMap(group.availableByteCount(in:)).min() }.min()
    }
  }

  private static func groups(_ read: @escaping (String) -> String?) -> [MemoryGroup] {
    (read("/proc/self/cgroup") ?? "").split(separator: "\n").flatMap { line -> [MemoryGroup] in
      // NUMBER:CONTROLLERS:PATH
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      let (mounts, files): ([String], Files)
      if parts[1].isEmpty {
        (mounts, files) = (["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], version2)
      } else if parts[1].split(separator: ",").contains("memory") {
        (mounts, files) = (["/sys/fs/cgroup/memory"], version1)
      } else {
        return []
      }
      // In a container the path may be the host's, and only the mount's own folder be there.
      return mounts.map { MemoryGroup(folders: folders(below: $0, parts[2]), files: files, read: read) }
    }
  }

  private static func folders(below mount: String, _ path: Substring) -> [String] {
    var folders = [mount]
    for name in path.split(separator: "/") { folders.append("\(folders[folders.count - 1])/\(name)") }
    return folders
  }

  private func availableByteCount(in folder: String) -> Int? {
    guard let limit = number(in: "\(folder)/\(files.limit)"), let usage = number(in: "\(folder)/\(files.usage)") else {
      return nil
    }
    // What was read from files is let go of before the limit hurts.
    let line = read("\(folder)/memory.stat")?.split(separator: "\n").first { $0.hasPrefix("\(files.reclaimable) ") }
    let reclaimable = line.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) } ?? 0
    return max(0, limit - max(0, usage - reclaimable))
  }

  /// Nil if the file is not there, or says that there is no limit.
  private func number(in path: String) -> Int? {
    read(path).flatMap { Int($0.prefix { $0 != "\n" }) }
  }
}
