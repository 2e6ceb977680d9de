import CZeroMQ
import Glibc
import Synchronization

/// Handles over ZeroMQ: a PUB socket per client, SUB sockets at the subscribers, no broker between.
public final class ZeroMQTransport: HandleTransport {
  private let context: ZeroMQContext

  /// - Throws: ``TransportError`` if the process has no room for a context's descriptors.
  public init() throws(TransportError) { context = try ZeroMQContext() }

  public func sender(at endpoint: String) throws(TransportError) -> any HandleSender {
    try ZeroMQSender(context, endpoint)
  }

  public func receiver() throws(TransportError) -> any HandleReceiver { try ZeroMQReceiver(context) }
}

private final class ZeroMQSender: HandleSender {
  /// Where it is bound: the last place, and the one before, as unbinding ends the connections that came there.
  private let places: Mutex<[String]>
  private let socket: ZeroMQSocket
  private let count = Atomic<UInt64>(0)
  private let byteCount = Atomic<UInt64>(0)

  init(_ context: ZeroMQContext, _ endpoint: String) throws(TransportError) {
    places = Mutex([endpoint])
    socket = try ZeroMQSocket(context, ZMQ_PUB, endpoint: endpoint)
    socket.set(ZMQ_SNDHWM, CInt(highWaterMark))
    try socket.bind(endpoint)
  }

  deinit { socket.close() }

  private var endpoint: String { places.withLock { $0.last ?? "" } }

  func move(to endpoint: String) throws(TransportError) {
    guard self.endpoint != endpoint else { return }
    try socket.bind(endpoint)
    let left = places.withLock { places in
      places.append(endpoint)
      return places.count > 2 ? places.removeFirst() : nil
    }
    if let left { socket.unbind(left) }
  }

  var sentCount: UInt64 { count.load(ordering: .relaxed) }
  var sentByteCount: UInt64 { byteCount.load(ordering: .relaxed) }

  func send(_ handle: RawSpan) {
    guard socket.send(handle) else { return }
    count.add(1, ordering: .relaxed)
    byteCount.add(UInt64(handle.byteCount), ordering: .relaxed)
  }

  func close() { socket.close() }
}

private final class ZeroMQReceiver: HandleReceiver {
  /// A longer message than any handle ends the connection that sent it.
  private static let maximumMessageByteCount: Int64 = 1024

  let descriptor: CInt
  private let socket: ZeroMQSocket

  init(_ context: ZeroMQContext) throws(TransportError) {
    socket = try ZeroMQSocket(context, ZMQ_SUB, endpoint: "a receiver")
    socket.set(ZMQ_RCVHWM, CInt(highWaterMark))
    socket.set(ZMQ_MAXMSGSIZE, Self.maximumMessageByteCount)
    descriptor = socket.descriptor
  }

  deinit { socket.close() }

  func connect(to endpoint: String) throws(TransportError) { try socket.connect(endpoint) }
  func disconnect(from endpoint: String) { socket.disconnect(endpoint) }
  func subscribe(prefix: [UInt8]) { socket.set(ZMQ_SUBSCRIBE, prefix) }
  func unsubscribe(prefix: [UInt8]) { socket.set(ZMQ_UNSUBSCRIBE, prefix) }
  func receive(into buffer: inout MutableRawSpan) -> Int? { socket.receive(into: &buffer) }
  func close() { socket.close() }
}
