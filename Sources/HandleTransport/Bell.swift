import Platform
import Synchronization

/// Where a client is rung by handles that are meant for it alone: a datagram socket, whose place the node chose.
///
/// ZeroMQ hands a handle from the sender's thread to one of its own, to one of the receiver's, and to that which waits:
/// three wake-ups, each as dear as the sender's work. A datagram wakes who waits itself. Like every handle, one that comes
/// here may be lost, or nonsense: it only makes its receiver look.
public final class Bell: Sendable {
  public let path: String
  private let socket: DatagramSocket

  /// - Throws: ``TransportError``, if nothing can be bound at the path.
  public init(at path: String) throws(TransportError) {
    do {
      socket = try DatagramSocket(at: path)
      self.path = path
    } catch {
      throw TransportError(endpoint: path, problem: "\(error)")
    }
  }

  /// Readable while handles wait.
  public var descriptor: CInt { socket.raw }

  /// Takes the next handle, cut to the buffer's size.
  ///
  /// - Returns: the bytes taken, or nil if nothing waits.
  public func receive(into buffer: inout MutableRawSpan) -> Int? { socket.receive(into: &buffer) }
}

/// Rings the bells of others. Safe to use from any thread.
public final class BellRinger: Sendable {
  private let socket: DatagramSocket
  private let count = Atomic<UInt64>(0)
  private let byteCount = Atomic<UInt64>(0)

  /// - Throws: ``TransportError``, if the process has no descriptor left.
  public init() throws(TransportError) {
    do {
      socket = try DatagramSocket()
    } catch {
      throw TransportError(endpoint: "a bell", problem: "\(error)")
    }
  }

  /// Handles sent so far, and their bytes.
  public var sentCount: UInt64 { count.load(ordering: .relaxed) }
  public var sentByteCount: UInt64 { byteCount.load(ordering: .relaxed) }

  /// Sends a handle to the bell at the path, without waiting.
  ///
  /// - Returns: whether it rings: because of this, or of what waits there already. If not, nobody is there, or lets this
  ///   process come near.
  public func ring(_ path: String, with handle: RawSpan) -> Bool {
    guard socket.send(handle, to: path) else { return false }
    count.add(1, ordering: .relaxed)
    byteCount.add(UInt64(handle.byteCount), ordering: .relaxed)
    return true
  }
}
