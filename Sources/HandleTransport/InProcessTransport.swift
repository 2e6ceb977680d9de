import Platform
import Synchronization

/// The transport's twin within one process, without ZeroMQ: for tests.
///
/// Senders and receivers find each other by the endpoint's name within one transport.
public final class InProcessTransport: HandleTransport {
  fileprivate struct Exchange {
    /// Who is bound to an endpoint; not held, so that a sender which is let go frees its endpoint.
    var senders: [String: ObjectIdentifier] = [:]
    /// Who is connected to an endpoint: their mailboxes, so that a receiver which is let go is gone.
    var receivers: [String: [Mailbox]] = [:]
  }

  fileprivate let exchange = Mutex(Exchange())

  public init() {}

  public func sender(at endpoint: String) throws(TransportError) -> any HandleSender {
    let sender = InProcessSender(endpoint, self)
    let isFree = exchange.withLock { exchange in
      guard exchange.senders[endpoint] == nil else { return false }
      exchange.senders[endpoint] = ObjectIdentifier(sender)
      return true
    }
    guard isFree else { throw TransportError(endpoint: endpoint, problem: "another sender is bound to it") }
    return sender
  }

  public func receiver() throws(TransportError) -> any HandleReceiver {
    do {
      return InProcessReceiver(try WakeEvent(), self)
    } catch {
      throw TransportError(endpoint: "a receiver", problem: "\(error)")
    }
  }
}

private final class InProcessSender: HandleSender {
  /// Where it is bound: the last place, and the one before.
  private let places: Mutex<[String]>
  private let transport: InProcessTransport
  private let count = Atomic<UInt64>(0)
  private let byteCount = Atomic<UInt64>(0)

  init(_ endpoint: String, _ transport: InProcessTransport) {
    places = Mutex([endpoint])
    self.transport = transport
  }

  deinit { close() }

  private var endpoint: String { places.withLock { $0.last ?? "" } }

  func move(to endpoint: String) throws(TransportError) {
    guard self.endpoint != endpoint else { return }
    let left: String?? = transport.exchange.withLock { exchange in
      guard exchange.senders[endpoint] == nil else { return nil }
      exchange.senders[endpoint] = ObjectIdentifier(self)
      let left = places.withLock { places in
        places.append(endpoint)
        return places.count > 2 ? places.removeFirst() : nil
      }
      if let left { exchange.senders[left] = nil }
      return .some(left)
    }
    guard left != nil else { throw TransportError(endpoint: endpoint, problem: "another sender is bound to it") }
  }

  var sentCount: UInt64 { count.load(ordering: .relaxed) }
  var sentByteCount: UInt64 { byteCount.load(ordering: .relaxed) }

  func send(_ handle: RawSpan) {
    let receivers: [Mailbox]? = transport.exchange.withLock { exchange in
      let bound = places.withLock { $0 }.filter { exchange.senders[$0] == ObjectIdentifier(self) }
      guard !bound.isEmpty else { return nil }
      var receivers: [Mailbox] = []
      for receiver in bound.flatMap({ exchange.receivers[$0] ?? [] })
      where !receivers.contains(where: { $0 === receiver }) {
        receivers.append(receiver)
      }
      return receivers
    }
    guard let receivers else { return }
    count.add(1, ordering: .relaxed)
    byteCount.add(UInt64(handle.byteCount), ordering: .relaxed)
    for receiver in receivers { receiver.deliver(handle) }
  }

  func close() {
    transport.exchange.withLock { exchange in
      for place in places.withLock({ $0 }) where exchange.senders[place] == ObjectIdentifier(self) {
        exchange.senders[place] = nil
      }
    }
  }
}

/// What a receiver is sent.
private final class Mailbox: Sendable {
  private struct Queue {
    var prefixes: [[UInt8]] = []
    var waiting: [[UInt8]] = []
    var isClosed = false
  }

  let event: WakeEvent
  private let queue = Mutex(Queue())

  init(_ event: consuming WakeEvent) { self.event = event }

  var isClosed: Bool { queue.withLock { $0.isClosed } }

  func subscribe(prefix: [UInt8]) { queue.withLock { $0.prefixes.append(prefix) } }

  func unsubscribe(prefix: [UInt8]) {
    queue.withLock { queue in
      if let index = queue.prefixes.firstIndex(of: prefix) { queue.prefixes.remove(at: index) }
    }
  }

  func deliver(_ handle: RawSpan) {
    // SAFETY: the bytes are copied before the span ends.
    let bytes = unsafe handle.withUnsafeBytes { unsafe [UInt8]($0) }
    queue.withLock { queue in
      guard !queue.isClosed, queue.waiting.count < highWaterMark,
        queue.prefixes.contains(where: { bytes.starts(with: $0) })
      else { return }
      queue.waiting.append(bytes)
      event.signal()
    }
  }

  func take() -> [UInt8]? {
    queue.withLock { queue in
      guard !queue.waiting.isEmpty else {
        event.clear()
        return nil
      }
      return queue.waiting.removeFirst()
    }
  }

  func close() {
    queue.withLock { queue in
      queue.isClosed = true
      queue.waiting = []
    }
  }
}

private final class InProcessReceiver: HandleReceiver {
  private let transport: InProcessTransport
  private let mailbox: Mailbox

  init(_ event: consuming WakeEvent, _ transport: InProcessTransport) {
    mailbox = Mailbox(event)
    self.transport = transport
  }

  deinit { close() }

  var descriptor: CInt { mailbox.event.raw }

  func connect(to endpoint: String) throws(TransportError) {
    guard !mailbox.isClosed else { throw TransportError(endpoint: endpoint, problem: "it was closed") }
    transport.exchange.withLock { exchange in
      guard exchange.receivers[endpoint]?.contains(where: { $0 === mailbox }) != true else { return }
      exchange.receivers[endpoint, default: []].append(mailbox)
    }
  }

  func disconnect(from endpoint: String) {
    transport.exchange.withLock { exchange in
      exchange.receivers[endpoint]?.removeAll { $0 === mailbox }
      if exchange.receivers[endpoint]?.isEmpty == true { exchange.receivers[endpoint] = nil }
    }
  }

  func subscribe(prefix: [UInt8]) { mailbox.subscribe(prefix: prefix) }
  func unsubscribe(prefix: [UInt8]) { mailbox.unsubscribe(prefix: prefix) }

  func receive(into buffer: inout MutableRawSpan) -> Int? {
    guard let next = mailbox.take() else { return nil }
    let count = min(next.count, buffer.byteCount)
    for index in 0..<count { buffer.storeBytes(of: next[index], toByteOffset: index, as: UInt8.self) }
    return count
  }

  func close() {
    mailbox.close()
    transport.exchange.withLock { exchange in
      exchange.receivers = exchange.receivers.compactMapValues { list in
        let others = list.filter { $0 !== mailbox }
        return others.isEmpty ? nil : others
      }
    }
  }
}
