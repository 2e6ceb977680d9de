import Glibc

/// Who may connect to the node's socket, by its permissions.
public struct SocketAccess: Hashable, Sendable {
  /// The socket's permissions, as in `chmod`; who may connect needs the right to write.
  public var mode: UInt32
  /// The socket's group; nil: the one that new files get.
  public var group: UInt32?

  public init(mode: UInt32 = 0o600, group: UInt32? = nil) {
    self.mode = mode
    self.group = group
  }

  /// Permissions for the directory: those who may connect also make their handles' sockets there, for each other (hence
  /// set-group-ID) and without touching another's (hence sticky). Nobody else needs to list it.
  var directoryMode: UInt32 {
    var mode: UInt32 = 0o700
    if self.mode & 0o020 != 0 { mode |= 0o3030 }
    if self.mode & 0o002 != 0 { mode |= 0o1003 }
    return mode
  }
}
