import BusProtocol
import HandleTransport
import Logging
import Platform
import Synchronization
import Vocabulary

/// What a client is to its node at present, its one socket for handles, and who wants to know when that changes.
final class Membership: Sendable {
  private let transport: any HandleTransport
  private let socketPath: String
  private let logger: Logger
  private let state = Mutex(State())

  private struct State {
    var welcome: Welcome?
    var sender: (any HandleSender)?
    var observers: [UInt64: AsyncStream<NodeEvent>.Continuation] = [:]
    var lastObserver: UInt64 = 0
    var hasEnded = false
  }

  init(transport: any HandleTransport, socketPath: String, logger: Logger) {
    self.transport = transport
    self.socketPath = socketPath
    self.logger = logger
  }

  var welcome: Welcome? { state.withLock { $0.welcome } }

  /// The node, perhaps a new one, has let this client in: publish handles where it says.
  func welcomed(_ welcome: Welcome) {
    let sender = state.withLock { state in
      state.welcome = welcome
      return state.sender
    }
    do {
      try sender?.move(to: welcome.handleEndpoint)
      if sender != nil { SocketFile.share(welcome.handleEndpoint, as: socketPath) }
    } catch {
      // Subscribers look into their segments by themselves, if less promptly.
      logger.warning("handles can't be published where the node says: \(error)")
    }
  }

  /// One socket for all publishers of a process, made with the first.
  func handleSender() throws(BusError) -> any HandleSender {
    try state.withLock { state throws(BusError) in
      if let sender = state.sender { return sender }
      guard let endpoint = state.welcome?.handleEndpoint else { throw .nodeLost }
      do {
        let made = try transport.sender(at: endpoint)
        // Whoever may join the node may listen, also other users.
        SocketFile.share(endpoint, as: socketPath)
        state.sender = made
        return made
      } catch {
        throw .cannotJoin("handles can't be published at \(endpoint): \(error)")
      }
    }
  }

  /// Handles that were sent, and their bytes.
  var sent: (count: UInt64, byteCount: UInt64) {
    state.withLock { ($0.sender?.sentCount ?? 0, $0.sender?.sentByteCount ?? 0) }
  }

  func closeSender() { state.withLock { $0.sender }?.close() }

  // MARK: - Events

  var events: AsyncStream<NodeEvent> {
    let (stream, continuation) = AsyncStream.makeStream(of: NodeEvent.self, bufferingPolicy: .bufferingNewest(64))
    let number: UInt64? = state.withLock { state in
      guard !state.hasEnded else { return nil }
      state.lastObserver += 1
      state.observers[state.lastObserver] = continuation
      return state.lastObserver
    }
    guard let number else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.observers.removeValue(forKey: number) }
    }
    return stream
  }

  func tell(_ event: NodeEvent) {
    switch event {
    case .lost, .gaveUp, .streamLost: logger.warning("\(event)")
    case .rejoined: logger.notice("\(event)")
    }
    for observer in state.withLock({ Array($0.observers.values) }) { observer.yield(event) }
  }

  /// Nothing more will happen.
  func end() {
    let observers = state.withLock { state in
      state.hasEnded = true
      defer { state.observers = [:] }
      return Array(state.observers.values)
    }
    for observer in observers { observer.finish() }
  }
}
