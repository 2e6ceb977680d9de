import Glibc
import Vocabulary

/// The sockets at which clients publish handles, and those at which they are rung: siblings of the node's own, so that its
/// directory's permissions guard them too. A client that is killed leaves its behind; the node, which chose the path, takes it away.
enum HandleSockets {
  /// Room for what follows the socket path: a process, a number of 64 bits, and what tells a bell.
  static let suffixByteCount = 32

  /// The node's process is in the name: a client of an earlier node that lives on keeps its own sockets, also if that was
  /// in the same process. The rest only the client is told, so that nobody takes its place before it: the hasher's seed is
  /// this process's secret.
  static func path(beside socketPath: String, client: ClientID, life: NodeLife) -> String {
    var hasher = Hasher()
    hasher.combine(life)
    hasher.combine(client)
    return "\(socketPath).\(getpid())-\(UInt64(UInt(bitPattern: hasher.finalize())))"
  }

  /// The client's bell.
  static func bell(beside socketPath: String, client: ClientID, life: NodeLife) -> String {
    path(beside: socketPath, client: client, life: life) + bellSuffix
  }

  private static let bellSuffix = "b"

  static func remove(beside socketPath: String, client: ClientID, life: NodeLife) {
    // SAFETY: the kernel copies the paths.
    _ = unsafe unlink(path(beside: socketPath, client: client, life: life))
    _ = unsafe unlink(bell(beside: socketPath, client: client, life: life))
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
      let client = name.dropFirst(prefix.count).dropLast(name.hasSuffix(bellSuffix) ? bellSuffix.count : 0)
      let numbers = client.split(separator: "-", omittingEmptySubsequences: false)
      guard numbers.count == 2, numbers.allSatisfy({ UInt64($0) != nil }) else { continue }
      if let node, numbers[0] != String(node) { continue }
      _ = unsafe unlink("\(directory)/\(name)")
    }
  }
}
