import CPlatform
import Glibc

/// A SOCK_DGRAM socket of the Unix domain: receives at a path, or sends to one. Never blocks.
public struct DatagramSocket: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private let path: String?

  /// A socket that sends to the one that is at the path now.
  ///
  /// The kernel looks the path up here, once: where it does so for each datagram, who is woken by it waits a sixth longer.
  public init(connectedTo path: String) throws(Errno) {
    let socket = OwnedDescriptor(adopting: try check(poolbus_datagram_socket()))
    // SAFETY: the kernel copies the path before the call returns.
    _ = try check(unsafe poolbus_connect(socket.raw, path))
    descriptor = socket
    self.path = nil
  }

  /// A socket that receives, and that others find at the path until it is let go.
  public init(at path: String) throws(Errno) {
    let socket = OwnedDescriptor(adopting: try check(poolbus_datagram_socket()))
    // SAFETY: the kernel copies the path before the call returns.
    _ = try check(unsafe poolbus_bind(socket.raw, path))
    descriptor = socket
    self.path = path
  }

  deinit {
    // SAFETY: the kernel copies the path.
    if let path { _ = unsafe unlink(path) }
  }

  public var raw: CInt { descriptor.raw }

  /// Sends to the socket that this one is connected to.
  ///
  /// - Returns: whether something is there to be received at it: this, or so much else that there is no room. If not, the
  ///   socket is gone, and will not come back.
  public borrowing func send(_ bytes: RawSpan) -> Bool {
    // SAFETY: the kernel copies the bytes before the call returns.
    let sent = unsafe bytes.withUnsafeBytes { buffer in
      unsafe poolbus_send_datagram(descriptor.raw, buffer.baseAddress, buffer.count)
    }
    return sent >= 0 || Errno(rawValue: errno) == .resourceTemporarilyUnavailable
  }

  /// Takes the next datagram, cut to the buffer's size.
  ///
  /// - Returns: the bytes taken, or nil if nothing waits.
  public borrowing func receive(into buffer: inout MutableRawSpan) -> Int? {
    // SAFETY: the kernel writes into the buffer, whose length goes with it.
    let count = unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe recv(descriptor.raw, buffer.baseAddress, buffer.count, 0)
    }
    return count >= 0 ? count : nil
  }
}
