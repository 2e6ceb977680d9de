import CPlatform
import Glibc

/// A file descriptor with one owner, closed in `deinit`.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number, valid as long as this owner lives.
  public let raw: CInt

  /// Takes over a descriptor that nobody else will close.
  public init(adopting raw: CInt) { self.raw = raw }

  deinit { _ = close(raw) }

  /// Gives the descriptor up: the caller closes it.
  public consuming func take() -> CInt {
    let raw = raw
    discard self
    return raw
  }

  /// Another descriptor of the same open file, closed on exec.
  public borrowing func duplicate() throws(Errno) -> OwnedDescriptor { try Self.duplicating(raw) }

  /// As ``duplicate()``, of a descriptor that is somebody else's.
  public static func duplicating(_ raw: CInt) throws(Errno) -> OwnedDescriptor {
    OwnedDescriptor(adopting: try check(poolbus_duplicate(raw)))
  }
}
