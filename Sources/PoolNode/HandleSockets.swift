import Glibc
import Vocabulary

/// The sockets of clients: where they publish handles, and their bells. Siblings of the node's own, so that its directory's
/// permissions guard them too. A client that is killed leaves its behind; the node, which chose the paths, takes them away.
enum HandleSockets {
  enum Kind: CaseIterable { case sender, bell }

  /// Room for what follows the socket path.
  static let suffixByteCount = 32

  /// The node's process is in the name: a client of an earlier node that lives on keeps its own sockets, also if that was
  /// in the same process. The rest is told to the client, and to those who connect to this very socket, so that nobody takes
  /// its place before it: the hasher's seed is this process's secret.
  static func path(_ kind: Kind, beside socketPath: String, client: ClientID, life: NodeLife) -> String {
    var hasher = Hasher()
    hasher.combine(kind)
    hasher.combine(life)
    hasher.combine(client)
    return "\(socketPath).\(getpid())-\(UInt64(UInt(bitPattern: hasher.finalize())))"
  }

  static func remove(beside socketPath: String, client: ClientID, life: NodeLife) {
    for kind in Kind.allCases {
      // SAFETY: the kernel copies the path.
      _ = unsafe unlink(path(kind, beside: socketPath, client: client, life: life))
    }
  }

  /// What clients have left, also of those that made theirs when this node had forgotten them. Called by the node that holds
  /// the socket: before any client joins, for what an earlier one's left; and at its end, for its own.
  static func removeAll(beside socketPath: String, of node: pid_t? = nil) {
    let split = socketPath.lastIndex(of: "/")
    let directory = split.map { String(socketPath[..<$0]) } ?? "."
    let prefix = (split.map { String(socketPath[socketPath.index(after: $0)...]) } ?? socketPath) + "."
    // SAFETY: the stream is open until closedir; an entry's name is copied before the next readdir overwrites it.
    guard let stream = unsafe opendir(directory.isEmpty ? "/" : directory) else { return }
    defer { unsafe closedir(stream) }
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      guard name.hasPrefix(prefix) else { continue }
      let numbers = name.dropFirst(prefix.count).split(separator: "-", omittingEmptySubsequences: false)
      guard numbers.count == 2, numbers.allSatisfy({ UInt64($0) != nil }) else { continue }
      if let node, numbers[0] != String(node) { continue }
      _ = unsafe unlink("\(directory)/\(name)")
    }
  }
}
