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
  private let transport: any HandleTransport
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
    var retentions: [StreamID: Retention] = [:]
    /// Closed while there was no node: what they have published goes to the next one first.
    var closing: Set<StreamID> = []
    var subscriptions: [SubscriptionID: SubscriptionCore] = [:]
    var options: [SubscriptionID: SubscriberOptions] = [:]
    var closed: [SubscriptionID] = []
    var isStopping = false
    var isClosed = false
    var loss: BusError?

    /// - Returns: whether the connection is lost.
    mutating func transmit(_ bytes: [UInt8], descriptor: CInt?) -> Bool {
      guard let connection else { return false }
      return !outbox.send(bytes, descriptor: descriptor, over: connection.socket)
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

  private enum Token {
    static let node: UInt64 = 0
    static let wake: UInt64 = 1
    static let handles: UInt64 = 2
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

  /// - Parameter descriptor: borrowed for the call; the node gets its own.
  func send(_ message: ClientMessage, descriptor: CInt? = nil) {
    // Without limits of the user's choosing in it, a message is within the protocol's bounds.
    if let bytes = try? message.encoded() { send(bytes, descriptor: descriptor) }
  }

  private func send(_ bytes: [UInt8], descriptor: CInt?) {
    let (isLost, waits) = state.withLock { state in
      switch state.phase {
      case .joined where state.loss == nil:
        return (state.transmit(bytes, descriptor: descriptor), !state.outbox.isEmpty)
      case .rejoining: state.deferred.append(bytes)
      // What this client has will be told to the next node as it is then.
      case .joined, .gone: break
      }
      return (false, false)
    }
    // The loop sees the loss itself, and waits for room.
    if isLost || waits { executor.wakeUp() }
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

  func add(_ publisher: PublisherCore, retention: Retention?) {
    state.withLock { state in
      state.publishers[publisher.stream] = publisher
      state.retentions[publisher.stream] = retention
    }
  }

  func add(_ subscription: SubscriptionCore, options: SubscriberOptions) {
    state.withLock { state in
      state.subscriptions[subscription.id] = subscription
      state.options[subscription.id] = options
    }
  }

  func closePublisher(_ stream: StreamID) {
    let bytes = try? ClientMessage.closePublisher(stream).encoded()
    let (gone, waits) = state.withLock { state -> (PublisherCore?, Bool) in
      // The node forgets its waiting leases without a word.
      state.leases = state.leases.filter { $0.value.publisher.stream != stream }
      guard state.phase == .joined || state.loss != nil else {
        state.closing.insert(stream)
        return (nil, false)
      }
      if state.loss == nil, let bytes { _ = state.transmit(bytes, descriptor: nil) }
      state.retentions[stream] = nil
      return (state.publishers.removeValue(forKey: stream), !state.outbox.isEmpty)
    }
    if waits { executor.wakeUp() }
    _ = consume gone
  }

  func removeSubscription(_ id: SubscriptionID) {
    let gone = state.withLock { state in
      state.closed.append(id)
      state.options[id] = nil
      return state.subscriptions.removeValue(forKey: id)
    }
    _ = consume gone
    executor.wakeUp()
  }

  func closeAll() {
    let (publishers, subscriptions) = state.withLock { state in
      state.isClosed = true
      return (Array(state.publishers.values), Array(state.subscriptions.values))
    }
    for publisher in publishers { publisher.close() }
    for subscription in subscriptions { subscription.close() }
  }

  // MARK: - On the loop's thread

  func run() {
    var buffer = [UInt8](repeating: 0, count: PacketSocket.maximumPacketByteCount)
    let doorbells = Doorbells(transport: transport)
    var loss = BusError.nodeLost
    do {
      let poller = try Poller()
      var connection = state.withLock { $0.connection }
      if let connection { try poller.add(connection.socket.raw, token: Token.node, .readable) }
      try poller.add(executor.descriptor, token: Token.wake, .readable)
      executor.begin()
      var isWatchingHandles = false
      var waitsToSend = false
      var search: Search?

      loop: while true {
        var hasNews = false
        let timeout = timeout(recheck: doorbells.recheckInterval, search: connection == nil ? search : nil)
        _ = try poller.wait(timeoutNanoseconds: timeout) { ready in
          if ready.token == Token.wake { executor.clear() }
          if ready.token == Token.node { hasNews = true }
        }
        if hasNews, let current = connection, let error = try receive(from: current, into: &buffer, doorbells) {
          loss = error
          guard error == .nodeLost, nodeIsGone() else { break loop }
          try? poller.remove(current.socket.raw)
          connection = nil
          waitsToSend = false
          search = Search(start: search?.start ?? Clock.monotonicNanoseconds)
        }
        if search != nil, connection != nil, state.withLock({ $0.phase == .joined }) { search = nil }
        if let search, hasSearchedEnough(search) || state.withLock({ $0.isClosed }) { break loop }
        if var looking = search, connection == nil {
          connection = findNode(&looking)
          search = looking
          if let connection { try poller.add(connection.socket.raw, token: Token.node, .readable) }
        }
        // Also when no handle seems to wait: ZeroMQ tells of new ones only after all the old ones were taken.
        // Who is woken goes on before the next handle is looked for, which costs system calls.
        doorbells.drain { executor.runJobs() }
        executor.runJobs()
        doorbells.recheckIfDue()

        let (isOpen, isWaiting, closed) = state.withLock { state in
          defer { if !state.closed.isEmpty { state.closed = [] } }
          if let connection = state.connection, !state.outbox.isEmpty {
            // If it is over, that is read from it.
            _ = state.outbox.flush(over: connection.socket)
          }
          return (!state.isStopping, !state.outbox.isEmpty, state.closed)
        }
        for id in closed { doorbells.remove(id) }
        if !isOpen { break loop }
        if isWaiting != waitsToSend, let connection {
          waitsToSend = isWaiting
          try poller.modify(connection.socket.raw, token: Token.node, isWaiting ? [.readable, .writable] : .readable)
        }
        if !isWatchingHandles, let descriptor = doorbells.descriptor {
          try poller.add(descriptor, token: Token.handles, .readable)
          isWatchingHandles = true
        }
      }
    } catch {
      loss = .cannotJoin("the client's thread failed: \(error)")
    }
    end(with: loss)
    doorbells.close()
    executor.end()
  }

  /// How long to wait for something to happen; nil for ever.
  private func timeout(recheck: UInt64?, search: Search?) -> UInt64? {
    guard executor.isIdle else { return 0 }
    guard let search else { return recheck }
    let now = Clock.monotonicNanoseconds
    return min(recheck ?? .max, search.next > now ? search.next - now : 0)
  }

  /// - Returns: why the connection is over, or nil.
  private func receive(
    from connection: Connection, into buffer: inout [UInt8], _ doorbells: Doorbells
  ) throws(Errno) -> BusError? {
    while true {
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes has no padding.
      var bytes = unsafe span.mutableBytes
      switch try connection.socket.receive(into: &bytes) {
      case .wouldBlock: return nil
      case .closed: return .nodeLost
      case .damaged(let problem): return .refused("its packet arrived damaged: \(problem)")
      case .packet(let byteCount, let descriptor):
        do throws(ProtocolError) {
          let packet = buffer.span.extracting(first: byteCount)
          let message = try NodeMessage.decode(unsafe packet.bytes)
          if let loss = dispatch(message, descriptor, doorbells) { return loss }
        } catch {
          return .refused("the node sent what can't be read: \(error)")
        }
      }
    }
  }

  private func end(with loss: BusError) {
    let (answers, publishers, subscriptions, closing) = state.withLock { state in
      state.loss = loss
      // The node may live: it shall not wait for what this client held.
      state.connection?.socket.shutDown()
      state.connection = nil
      defer {
        state.answers = [:]
        state.leases = [:]
        state.closing = []
      }
      let closing = state.closing.compactMap { state.publishers.removeValue(forKey: $0) }
      return (
        Array(state.answers.values), Array(state.publishers.values), Array(state.subscriptions.values), closing
      )
    }
    for answer in answers { answer.fail(loss) }
    for publisher in closing { publisher.letGo() }
    for publisher in publishers { publisher.nodeLost() }
    for subscription in subscriptions { subscription.nodeLost(loss) }
    if !state.withLock({ $0.isStopping || $0.isClosed }) { membership.tell(.gaveUp(loss)) }
    membership.end()
  }
}
