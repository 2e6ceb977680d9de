/// Why a node's socket could not be joined or taken.
public enum SocketError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no socket at the path, or nobody answers at it.
  case nobodyListens(path: String)
  case pathTooLong(path: String, limit: Int)
  case denied(path: String)
  /// A node has the socket already.
  case inUse(path: String, processID: Int32)
  /// Another process has the directory of the path locked, and keeps it so.
  case directoryLocked(path: String, directory: String)
  /// What stands at the path is no socket, and stays.
  case notASocket(path: String)
  case failed(path: String, Errno)
  /// An inherited descriptor is not what a node can listen at.
  case notAListener(descriptor: Int32)

  init(_ error: Errno, path: String) {
    self =
      switch error {
      case .noSuchFileOrDirectory, .connectionRefused: .nobodyListens(path: path)
      case .fileNameTooLong: .pathTooLong(path: path, limit: PacketSocket.maximumPathByteCount)
      case .permissionDenied, .notPermitted: .denied(path: path)
      default: .failed(path: path, error)
      }
  }

  public var description: String {
    switch self {
    case .nobodyListens(let path): "no node answers at \(path): start poolbusd there, or name another socket"
    case .pathTooLong(let path, let limit):
      "the socket path \(path) has \(path.utf8.count) bytes, and the kernel allows \(limit): choose a shorter one"
    case .denied(let path): "this user may not use \(path): ask the owner of its directory for access"
    case .inUse(let path, let processID):
      "process \(processID) serves \(path) already: stop it, or choose another socket"
    case .directoryLocked(let path, let directory):
      "\(path) can't be taken while another process has a lock (flock) on \(directory): end that process, or choose another "
        + "directory"
    case .notASocket(let path): "\(path) exists and is no socket: move it away, or choose another path"
    case .failed(let path, let error): "\(path) could not be used: \(error)"
    case .notAListener(let descriptor):
      "the inherited descriptor \(descriptor) is no Unix socket that listens for packets at a path: "
        + "write ListenSequentialPacket=/run/... in the socket unit"
    }
  }
}
