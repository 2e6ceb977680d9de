import Glibc

/// The file that a socket of the Unix domain has.
public enum SocketFile {
  /// Lets those use the socket at an `ipc://` endpoint who may use another socket. Other endpoints have no file.
  public static func share(_ endpoint: String, as other: String) {
    let scheme = "ipc://"
    guard endpoint.hasPrefix(scheme) else { return }
    share(file: String(endpoint.dropFirst(scheme.count)), as: other)
  }

  /// Lets those use the socket at a path who may use another.
  public static func share(file: String, as other: String) {
    var status = stat()
    // SAFETY: the structure outlives the call; the kernel copies the paths.
    guard unsafe lstat(other, &status) == 0 else { return }
    // If it can't be, others hear no handle there, and find messages by looking, a little later.
    _ = unsafe chmod(file, status.st_mode & 0o777)
  }
}
