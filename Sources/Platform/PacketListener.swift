import CPlatform
import Glibc

/// The listening socket of a node. Two can't have one path.
public struct PacketListener: ~Copyable, Sendable {
  public let path: String
  /// Whether another was there before, and left its file.
  public let followsAnother: Bool
  /// Whether the file stays when this owner goes: a sign to the next one that it follows another.
  public var leavesFile = false
  private let descriptor: OwnedDescriptor
  /// The socket's file as it was made, so that a successor's is never removed in its place; nil if it stays.
  private let file: FileIdentity?

  private struct FileIdentity: Equatable, Sendable {
    var device: dev_t
    var inode: ino_t

    /// Nil if nothing is at the path.
    init?(path: String, isSocket: inout Bool) {
      var status = stat()
      // SAFETY: the structure outlives the call.
      guard unsafe lstat(path, &status) == 0 else { return nil }
      isSocket = status.st_mode & S_IFMT == S_IFSOCK
      device = status.st_dev
      inode = status.st_ino
    }
  }

  /// Takes the path, or says who has it. A socket that a dead node left there is no obstacle; any other file is.
  ///
  /// - Parameters:
  ///   - mode: the socket's permissions: who may connect.
  ///   - group: whose the socket is beside its user's; nil leaves it to the system.
  ///   - patience: milliseconds to wait for others that are about to take a path in the same directory.
  /// - Throws: ``SocketError``.
  public static func claim(
    path: String, mode: mode_t = 0o600, group: gid_t? = nil, patience: Int = 5_000
  ) throws(SocketError) -> PacketListener {
    guard path.utf8.count <= PacketSocket.maximumPathByteCount else {
      throw .pathTooLong(path: path, limit: PacketSocket.maximumPathByteCount)
    }
    // Of two nodes that find the same stale socket, the second must not remove the first one's new one: only one at a
    // time looks and takes. The lock is on the directory, so that no file is left behind.
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    func system(_ result: CInt) throws(SocketError) -> CInt {
      do throws(Errno) {
        return try check(result)
      } catch .noSuchFileOrDirectory {
        // The directory, not a node, is missing.
        throw .failed(path: path, .noSuchFileOrDirectory)
      } catch {
        throw SocketError(error, path: path)
      }
    }
    // SAFETY: here and below the kernel copies paths before the calls return.
    let lock = OwnedDescriptor(adopting: try system(unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
    // Anybody who may read the directory can have it locked, and keep it so; and no lock can be waited for with a deadline.
    var waited = 0
    while flock(lock.raw, LOCK_EX | LOCK_NB) != 0 {
      switch Errno(rawValue: errno) {
      case .interrupted: continue
      case .resourceTemporarilyUnavailable where waited < patience:
        usleep(1_000)
        waited += 1
      case .resourceTemporarilyUnavailable: throw .directoryLocked(path: path, directory: directory)
      case let error: throw .failed(path: directory, error)
      }
    }
    var isSocket = false
    let followsAnother = FileIdentity(path: path, isSocket: &isSocket) != nil
    if followsAnother {
      guard isSocket else { throw .notASocket(path: path) }
      if let holder = try holder(of: path) { throw .inUse(path: path, processID: holder) }
      _ = try system(unsafe unlink(path))
    }
    let socket = OwnedDescriptor(adopting: try system(poolbus_packet_socket()))
    _ = try system(unsafe poolbus_bind(socket.raw, path))
    guard let file = FileIdentity(path: path, isSocket: &isSocket) else { throw .nobodyListens(path: path) }
    var listener = PacketListener(path: path, followsAnother: followsAnother, descriptor: socket, file: file)
    // As it was, if what follows fails.
    listener.leavesFile = followsAnother
    if let group { _ = try system(unsafe chown(path, .max, group)) }
    _ = try system(unsafe chmod(path, mode))
    _ = try system(listen(listener.raw, SOMAXCONN))
    listener.leavesFile = false
    return listener
  }

  /// Takes over a socket that listens already, as a service manager hands it on; its file stays when this owner goes.
  ///
  /// - Throws: ``SocketError/notAListener``, if it is anything but a listening SOCK_SEQPACKET socket at an absolute path.
  public static func adopt(_ socket: consuming OwnedDescriptor) throws(SocketError) -> PacketListener {
    var room = [CChar](repeating: 0, count: PacketSocket.maximumPathByteCount + 1)
    // SAFETY: the call writes a text with its zero, and no more than there is room for.
    // It listens once more, as clients see the process that did so last: by that they know whether their node lives.
    guard unsafe poolbus_is_packet_listener(socket.raw, &room, room.count) == 1,
      poolbus_set_non_blocking(socket.raw) == 0, listen(socket.raw, SOMAXCONN) == 0
    else { throw .notAListener(descriptor: socket.raw) }
    let path = String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return PacketListener(path: path, followsAnother: false, descriptor: socket, file: nil)
  }

  /// The process that answers at the path; nil if none does, or a dead one's forked child that still holds its socket.
  private static func holder(of path: String) throws(SocketError) -> Int32? {
    do throws(SocketError) {
      let socket = try PacketSocket.connect(to: path)
      let processID = (try? socket.peerCredentials())?.processID ?? 0
      return hasEnded(socket) ? nil : processID
    } catch .nobodyListens {
      return nil
    }
  }

  /// Whether the process at the other end has ended. Its number would not tell: another process may have it by now.
  private static func hasEnded(_ socket: borrowing PacketSocket) -> Bool {
    do throws(Errno) {
      return try socket.peerProcess().hasProcessEnded()
    } catch {
      return error == .noSuchProcess
    }
  }

  private init(path: String, followsAnother: Bool, descriptor: consuming OwnedDescriptor, file: FileIdentity?) {
    self.path = path
    self.followsAnother = followsAnother
    self.descriptor = descriptor
    self.file = file
  }

  deinit {
    guard let file else { return }
    // A forked child may hold it still: nobody listens all the same.
    _ = shutdown(descriptor.raw, Int32(SHUT_RDWR))
    var isSocket = false
    if !leavesFile, FileIdentity(path: path, isSocket: &isSocket) == file {
      // SAFETY: the kernel copies the path.
      _ = unsafe unlink(path)
    }
  }

  public var raw: CInt { descriptor.raw }

  /// The next client, or nil if nobody waits.
  public borrowing func accept() throws(Errno) -> PacketSocket? {
    while true {
      let socket = poolbus_accept(descriptor.raw)
      if socket >= 0 { return PacketSocket(OwnedDescriptor(adopting: socket)) }
      switch Errno(rawValue: errno) {
      case .resourceTemporarilyUnavailable: return nil
      // It hung up before it was let in.
      case .interrupted, .connectionAbort: continue
      case let error: throw error
      }
    }
  }
}
