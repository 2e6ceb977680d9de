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
///
/// Keeps a socket for each bell that it rang lately.
public final class BellRinger: Sendable {
  /// Each is a descriptor; more bells than this cost a connection each time.
  static let mostLines = 64

  private final class Line: Sendable {
    private let socket: DatagramSocket
    init(to path: String) throws(Errno) { socket = try DatagramSocket(connectedTo: path) }
    func ring(_ handle: RawSpan) -> Bool { socket.send(handle) }
  }

  private let lines = Mutex<[String: Line]>([:])
  private let count = Atomic<UInt64>(0)
  private let byteCount = Atomic<UInt64>(0)

  public init() {}

  /// Handles sent so far, and their bytes.
  public var sentCount: UInt64 { count.load(ordering: .relaxed) }
  public var sentByteCount: UInt64 { byteCount.load(ordering: .relaxed) }

  /// Sends a handle to the bell at the path, without waiting.
  ///
  /// - Returns: whether it rings: because of this, or of what waits there already. If not, nobody is there, or lets this
  ///   process come near, or the process has no descriptor left.
  public func ring(_ path: String, with handle: RawSpan) -> Bool {
    // Behind a line that is dead another bell may hang by now.
    let isRung = lines.withLock({ $0[path] })?.ring(handle) ?? false
    guard isRung || newLine(to: path)?.ring(handle) ?? false else { return false }
    count.add(1, ordering: .relaxed)
    byteCount.add(UInt64(handle.byteCount), ordering: .relaxed)
    return true
  }

  private func newLine(to path: String) -> Line? {
    let line = try? Line(to: path)
    lines.withLock { lines in
      lines[path] = nil
      guard let line else { return }
      if lines.count >= Self.mostLines { lines.remove(at: lines.startIndex) }
      lines[path] = line
    }
    return line
  }
}
