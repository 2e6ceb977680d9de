import BusProtocol
import HandleTransport
import Platform
import Synchronization
import Vocabulary

/// The one thread of a client: reads what the node says and what publishers announce, and hands both on.
///
/// Other threads send through it and register with it under one lock; it holds that lock never while it calls a
/// publisher or a subscription. When the node is gone it goes on without one, and rejoins the next.
final class ClientLoop: Sendable {
  let executor: LoopExecutor
  let finder: NodeFinder
  let membership: Membership
  let rejoins: Rejoining
  let transport: any HandleTransport
  private let lastRequest = Atomic<UInt64>(0)
  let state = Mutex(State())

  struct State: ~Copyable {
    var phase = Phase.joined
    /// Nil while there is no node.
    var connection: Connection?
    /// To the node that has let this client in last, also when it is gone.
    var lastJoined: Connection?
    var outbox = PacketOutbox()
    /// Said while rejoining, to be sent behind what the node is told then.
    var deferred: [[UInt8]] = []
    var answers: [UInt64: Answer] = [:]
    /// Asked for, and neither granted nor refused.
    var leases: [UInt64: Lease] = [:]
    var publishers: [StreamID: PublisherCore] = [:]
    /// Closed while there was no node: what they have published goes to the next one first.
    var closing: Set<StreamID> = []
    var subscriptions: [SubscriptionID: SubscriptionCore] = [:]
    var closed: [SubscriptionID] = []
    var isStopping = false
    var isClosed = false
    var loss: BusError?

    /// A message that can be neither sent nor kept ends the connection, as the loop will read from it: without it, the
    /// node and this client would disagree for good.
    ///
    /// - Returns: whether the connection is lost.
    mutating func transmit(_ bytes: [UInt8], descriptor: CInt?) -> Bool {
      // What a client brings back is as much as it has, and is said once.
      let isBounded = if case .rejoining = phase { false } else { true }
      guard let connection,
        !outbox.send(bytes, descriptor: descriptor, isBounded: isBounded, over: connection.socket)
      else { return false }
      connection.socket.shutDown()
      return true
    }

    /// Says something to the node; while rejoining, behind what the node is told then. With no node, nothing: what this
    /// client has will be told to the next one as it is then.
    ///
    /// - Returns: as ``transmit(_:descriptor:)``.
    mutating func say(_ bytes: [UInt8]) -> Bool {
      switch phase {
      case .joined where loss == nil: return transmit(bytes, descriptor: nil)
      case .rejoining: deferred.append(bytes)
      case .joined, .gone: break
      }
      return false
    }
  }

  /// What takes the node's answer to a request: true when it is complete.
  struct Answer: Sendable {
    var take: @Sendable (NodeMessage) -> Bool
    var fail: @Sendable (any Error) -> Void
    /// To ask the next node with if this one does not answer any more; nil fails then.
    var bytes: [UInt8]?
    var descriptor: CInt?
  }

  struct Lease: Sendable {
    var publisher: PublisherCore
    var bytes: [UInt8]
  }

  init(
    socket: consuming PacketSocket, transport: any HandleTransport, finder: NodeFinder, membership: Membership,
    rejoins: Rejoining
  ) throws(Errno) {
    self.transport = transport
    self.finder = finder
    self.membership = membership
    self.rejoins = rejoins
    executor = LoopExecutor(wake: try WakeEvent())
    let connection = Connection(socket)
    state.withLock { state in
      state.connection = connection
      state.lastJoined = connection
    }
  }

  // MARK: - From any thread

  /// Whether the node that has let this client in last has hung up, and its process has not ended. One that stops in
  /// order within a process that goes on can't be told from one that has sent this client away.
  var hasEndedConnection: Bool {
    guard let node = state.withLock({ $0.lastJoined }) else { return false }
    return node.socket.isHungUp && !node.hasPeerEnded
  }

  func nextRequest() -> UInt64 { lastRequest.add(1, ordering: .relaxed).newValue }

  func stop() {
    state.withLock { $0.isStopping = true }
    executor.wakeUp()
  }

  func send(_ message: ClientMessage) {
    // Without limits of the user's choosing in it, a message is within the protocol's bounds.
    guard let bytes = try? message.encoded() else { return }
    // The loop sees the loss itself, and waits for room.
    if state.withLock({ $0.say(bytes) || !$0.outbox.isEmpty }) { executor.wakeUp() }
  }

  /// Sends a request and waits for its answer; `take` runs on the loop's thread before the next packet is read, and
  /// returns nil as long as the answer is incomplete or not one.
  ///
  /// - Parameter again: whether to ask the next node if this one is gone before it has answered.
  func ask<Value: Sendable>(
    request: UInt64, _ message: ClientMessage, descriptor: CInt? = nil, again: Bool,
    take: @escaping @Sendable (NodeMessage) -> Value?
  ) async throws -> Value {
    let bytes: [UInt8]
    do { bytes = try message.encoded() } catch { throw BusError.refused("\(error)") }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
        let answer = Answer(
          take: { message in
            guard let value = take(message) else { return false }
            continuation.resume(returning: value)
            return true
          },
          fail: { continuation.resume(throwing: $0) }, bytes: again ? bytes : nil, descriptor: descriptor)
        let failure: (any Error)? = state.withLock { state in
          if state.isClosed { return BusError.closed }
          if let loss = state.loss { return loss }
          if Task.isCancelled { return CancellationError() }
          if state.phase != .joined, !again { return BusError.nodeLost }
          state.answers[request] = answer
          if state.phase == .joined { _ = state.transmit(bytes, descriptor: descriptor) }
          return nil
        }
        if let failure { answer.fail(failure) } else { executor.wakeUp() }
      }
    } onCancel: {
      // The answer, when it comes, finds nobody, and what it opened is closed.
      state.withLock { $0.answers.removeValue(forKey: request) }?.fail(CancellationError())
    }
  }

  /// Asks for a lease: this node, or the next one as soon as it is there.
  func requestLease(_ wish: RequestLease, for publisher: PublisherCore) {
    guard let bytes = try? ClientMessage.requestLease(wish).encoded() else { return }
    let waits = state.withLock { state in
      guard state.loss == nil else { return false }
      state.leases[wish.request] = Lease(publisher: publisher, bytes: bytes)
      guard state.phase == .joined else { return false }
      return state.transmit(bytes, descriptor: nil) || !state.outbox.isEmpty
    }
    if waits { executor.wakeUp() }
  }

  func forgetLease(_ request: UInt64) {
    let gone = state.withLock { $0.leases.removeValue(forKey: request) }
    _ = consume gone
  }

  // What was opened at the moment in which the bus was closed is closed, too.

  func add(_ publisher: PublisherCore) {
    let isClosed = state.withLock { state in
      state.publishers[publisher.stream] = publisher
      return state.isClosed
    }
    if isClosed { publisher.close() }
  }

  func add(_ subscription: SubscriptionCore) {
    let isClosed = state.withLock { state in
      state.subscriptions[subscription.id] = subscription
      return state.isClosed
    }
    if isClosed { subscription.close() }
  }

  /// - Returns: false if what it has published goes to the next node first: it is let go of then.
  func closePublisher(_ stream: StreamID) -> Bool {
    let bytes = try? ClientMessage.closePublisher(stream).encoded()
    let (isGone, waits) = state.withLock { state in
      // The node forgets its waiting leases without a word.
      state.leases = state.leases.filter { $0.value.publisher.stream != stream }
      guard state.phase == .joined || state.loss != nil else {
        state.closing.insert(stream)
        return (false, false)
      }
      if state.loss == nil, let bytes { _ = state.transmit(bytes, descriptor: nil) }
      state.publishers[stream] = nil
      return (true, !state.outbox.isEmpty)
    }
    if waits { executor.wakeUp() }
    return isGone
  }

  /// Both at a time: of a subscription that the next node is told of in between, it would never hear that it is closed.
  func closeSubscription(_ id: SubscriptionID) {
    let bytes = try? ClientMessage.unsubscribe(id).encoded()
    let gone = state.withLock { state in
      state.closed.append(id)
      if let bytes { _ = state.say(bytes) }
      return state.subscriptions.removeValue(forKey: id)
    }
    _ = consume gone
    executor.wakeUp()
  }

  func closeAll() {
    let (answers, publishers, subscriptions) = state.withLock { state in
      state.isClosed = true
      defer { state.answers = [:] }
      return (Array(state.answers.values), Array(state.publishers.values), Array(state.subscriptions.values))
    }
    // What they would open is closed when the node has opened it.
    for answer in answers { answer.fail(BusError.closed) }
    for publisher in publishers { publisher.close() }
    for subscription in subscriptions { subscription.close() }
  }
}
