import CPlatform
import Glibc

/// The socket of a service manager (systemd, by `$NOTIFY_SOCKET`): it is told how the service fares, and keeps
/// descriptors for the service's next life.
public struct ServiceNotifier: Sendable {
  /// A path, or an abstract address with '@' for its zero.
  public let path: String

  public init(path: String) { self.path = path }

  /// Sends lines of `NAME=value`; waits for room.
  ///
  /// - Parameter descriptor: goes with them; the service manager gets its own copy.
  public func send(_ lines: [String], descriptor: CInt? = nil) throws(Errno) {
    var text = lines.joined(separator: "\n")
    let result = text.withUTF8 { bytes in
      // SAFETY: the kernel copies path and bytes before the call returns.
      unsafe poolbus_notify(path, bytes.baseAddress, bytes.count, descriptor ?? -1)
    }
    guard result >= 0 else { throw Errno(rawValue: errno) }
  }
}

/// Descriptors that a service manager started this process with, by `$LISTEN_PID`, `$LISTEN_FDS` and `$LISTEN_FDNAMES`.
public enum InheritedDescriptors {
  public struct Entry: Hashable, Sendable {
    public let raw: CInt
    public let name: String
  }

  private static let first: CInt = 3
  /// More than any service manager hands on.
  private static let most = 1 << 20

  /// What the environment announces; empty if it speaks of another process, or of nothing.
  public static func announced(
    in environment: [String: String], processID: Int32
  ) -> [Entry] {
    guard environment["LISTEN_PID"].flatMap({ Int32($0) }) == processID,
      let count = environment["LISTEN_FDS"].flatMap({ Int($0) }), count > 0, count <= most
    else { return [] }
    let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
    return (0..<count).map { index in
      Entry(raw: first + CInt(index), name: index < names.count ? String(names[index]) : "")
    }
  }

  /// Takes an entry over: it is closed by its owner from here on, and no process started later inherits it. Once each.
  ///
  /// - Throws: `Errno.badFileDescriptor` if there is none.
  public static func take(_ entry: Entry) throws(Errno) -> OwnedDescriptor {
    _ = try check(poolbus_close_on_exec(entry.raw))
    return OwnedDescriptor(adopting: entry.raw)
  }
}
