import BusProtocol
import HandleTransport
import Logging
import Platform
import Synchronization
import Vocabulary

/// What a client is to its node at present, its sockets for handles, and who wants to know when that changes.
final class Membership: Sendable {
  private let transport: any HandleTransport
  private let socketPath: String
  private let logger: Logger
  private let state = Mutex(State())

  private struct State {
    var welcome: Welcome?
    var announcer: Announcer?
    var bell: Bell?
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

  /// The node, perhaps a new one, has let this client in: publish handles where it says, and be rung there.
  func welcomed(_ welcome: Welcome) {
    let (announcer, hasBell) = state.withLock { state in
      state.welcome = welcome
      return (state.announcer, state.bell != nil)
    }
    if hasBell { hangBell(at: welcome.bell) }
    do {
      try announcer?.move(to: welcome.handleEndpoint)
      if announcer != nil { SocketFile.share(welcome.handleEndpoint, as: socketPath) }
    } catch {
      // Subscribers look into their segments by themselves, if less promptly.
      logger.warning("handles can't be published where the node says: \(error)")
    }
  }

  /// One for all publishers of a process, made with the first.
  func announcer() throws(BusError) -> Announcer {
    try state.withLock { state throws(BusError) in
      if let announcer = state.announcer { return announcer }
      guard let endpoint = state.welcome?.handleEndpoint else { throw .nodeLost }
      do {
        let sender = try transport.sender(at: endpoint)
        // Whoever may join the node may listen, also other users.
        SocketFile.share(endpoint, as: socketPath)
        let made = Announcer(sender)
        state.announcer = made
        return made
      } catch {
        throw .cannotJoin("handles can't be published at \(endpoint): \(error)")
      }
    }
  }

  /// Where publishers ring this client; nil if nowhere.
  var bell: Bell? { state.withLock { $0.bell } }

  /// Lets publishers ring this client, before it is known to any.
  func hangBell() {
    guard bell == nil, let path = welcome?.bell else { return }
    hangBell(at: path)
  }

  private func hangBell(at path: String) {
    do {
      let bell = try Bell(at: path)
      SocketFile.share(file: path, as: socketPath)
      state.withLock { $0.bell = bell }
    } catch {
      // ZeroMQ wakes it then.
      logger.debug("there is no bell where the node says: \(error)")
    }
  }

  /// Handles that were sent, and their bytes.
  var sent: (count: UInt64, byteCount: UInt64) { state.withLock { $0.announcer }?.sent ?? (0, 0) }

  func closeSender() { state.withLock { $0.announcer }?.close() }

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
