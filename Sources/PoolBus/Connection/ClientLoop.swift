import BusProtocol
import HandleTransport
import Platform
import Synchronization
import Vocabulary

/// The one thread of a client: reads what the node says and what publishers announce, and hands both on.
///
/// Other threads send through it and register with it under one lock; it holds that lock never while it calls a
/// publisher or a subscription.
final class ClientLoop: Sendable {
  private let socket: PacketSocket
  let executor: LoopExecutor
  private let transport: any HandleTransport
  private let lastRequest = Atomic<UInt64>(0)
  private let state = Mutex(State())

  private struct State: ~Copyable {
    var outbox = PacketOutbox()
    var answers: [UInt64: Answer] = [:]
    var leases: [UInt64: PublisherCore] = [:]
    var publishers: [StreamID: PublisherCore] = [:]
    var subscriptions: [SubscriptionID: SubscriptionCore] = [:]
    var closed: [SubscriptionID] = []
    var isStopping = false
    var loss: BusError?
  }

  /// What takes the node's answer to a request: true when it is complete.
  private struct Answer: Sendable {
    var take: @Sendable (NodeMessage) -> Bool
    var fail: @Sendable (any Error) -> Void
  }

  private enum Token {
    static let node: UInt64 = 0
    static let wake: UInt64 = 1
    static let handles: UInt64 = 2
  }

  init(socket: consuming PacketSocket, transport: any HandleTransport) throws(Errno) {
    self.socket = socket
    self.transport = transport
    executor = LoopExecutor(wake: try WakeEvent())
  }

  // MARK: - From any thread

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
      guard state.loss == nil else { return (false, false) }
      return (!state.outbox.send(bytes, descriptor: descriptor, over: socket), !state.outbox.isEmpty)
    }
    // The loop sees the loss itself, and waits for room.
    if isLost || waits { executor.wakeUp() }
  }

  /// Sends a request and waits for its answer; `take` runs on the loop's thread before the next packet is read, and
  /// returns nil as long as the answer is incomplete or not one.
  func ask<Value: Sendable>(
    request: UInt64, _ message: ClientMessage, descriptor: CInt? = nil,
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
          fail: { continuation.resume(throwing: $0) })
        let failure: (any Error)? = state.withLock { state in
          if let loss = state.loss { return loss }
          if Task.isCancelled { return CancellationError() }
          state.answers[request] = answer
          return nil
        }
        if let failure { answer.fail(failure) } else { send(bytes, descriptor: descriptor) }
      }
    } onCancel: {
      // The answer, when it comes, finds nobody, and what it opened is closed.
      state.withLock { $0.answers.removeValue(forKey: request) }?.fail(CancellationError())
    }
  }

  func expectLease(_ request: UInt64, for publisher: PublisherCore) {
    state.withLock { $0.leases[request] = publisher }
  }

  func add(_ publisher: PublisherCore) { state.withLock { $0.publishers[publisher.stream] = publisher } }

  func add(_ subscription: SubscriptionCore) {
    state.withLock { $0.subscriptions[subscription.id] = subscription }
  }

  func removePublisher(_ stream: StreamID) {
    let gone = state.withLock { state in
      // The node forgets its waiting leases without a word.
      state.leases = state.leases.filter { $0.value.stream != stream }
      return state.publishers.removeValue(forKey: stream)
    }
    _ = consume gone
  }

  func removeSubscription(_ id: SubscriptionID) {
    let gone = state.withLock { state in
      state.closed.append(id)
      return state.subscriptions.removeValue(forKey: id)
    }
    _ = consume gone
    executor.wakeUp()
  }

  func closeAll() {
    let (publishers, subscriptions) = state.withLock { state in
      (Array(state.publishers.values), Array(state.subscriptions.values))
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
      try poller.add(socket.raw, token: Token.node, .readable)
      try poller.add(executor.descriptor, token: Token.wake, .readable)
      executor.begin()
      var isWatchingHandles = false
      var waitsToSend = false

      loop: while true {
        var hasNews = false
        _ = try poller.wait(timeoutNanoseconds: executor.isIdle ? doorbells.recheckInterval : 0) { ready in
          if ready.token == Token.wake { executor.clear() }
          if ready.token == Token.node { hasNews = true }
        }
        if hasNews, let error = try receive(into: &buffer, doorbells) {
          loss = error
          break loop
        }
        // Also when no handle seems to wait: ZeroMQ tells of new ones only after all the old ones were taken.
        doorbells.drain()
        executor.runJobs()
        doorbells.recheckIfDue()

        let (isOpen, isWaiting, closed) = state.withLock { state in
          defer { if !state.closed.isEmpty { state.closed = [] } }
          let isOpen = !state.isStopping && (state.outbox.isEmpty || state.outbox.flush(over: socket))
          return (isOpen, !state.outbox.isEmpty, state.closed)
        }
        for id in closed { doorbells.remove(id) }
        if !isOpen { break loop }
        if isWaiting != waitsToSend {
          waitsToSend = isWaiting
          try poller.modify(socket.raw, token: Token.node, isWaiting ? [.readable, .writable] : .readable)
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

  /// - Returns: why the connection is over, or nil.
  private func receive(into buffer: inout [UInt8], _ doorbells: Doorbells) throws(Errno) -> BusError? {
    while true {
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes has no padding.
      var bytes = unsafe span.mutableBytes
      switch try socket.receive(into: &bytes) {
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

  private func dispatch(
    _ message: NodeMessage, _ descriptor: consuming OwnedDescriptor?, _ doorbells: Doorbells
  ) -> BusError? {
    switch message {
    case .welcome:
      answer(0, message)
    case .publisherOpened(let opened):
      if !answer(opened.request, message) { send(.closePublisher(opened.stream)) }
    case .subscribed(let subscribed):
      if !answer(subscribed.request, message) { send(.unsubscribe(subscribed.subscription)) }
    case .snapshot(let part):
      answer(part.request, message)

    case .refusal(let refusal):
      let error = BusError(refusal)
      guard refusal.request != 0 else { return error }
      if let publisher = state.withLock({ $0.leases.removeValue(forKey: refusal.request) }) {
        publisher.leaseRefused(refusal.request, error)
      } else {
        state.withLock { $0.answers.removeValue(forKey: refusal.request) }?.fail(error)
      }
    case .leaseGranted(let granted):
      if let publisher = state.withLock({ $0.leases.removeValue(forKey: granted.request) }) {
        publisher.leaseGranted(granted, descriptor: descriptor)
      } else if !granted.warm {
        // Its publisher was closed meanwhile, as the node will hear. What it has mapped, it reports itself.
        send(.segmentUnmapped(granted.segment.id, by: nil))
      }
    case .giveBack(let stream): publisher(stream)?.giveBack()
    case .retention(let stream, let isRetained): publisher(stream)?.retain(isRetained)
    case .segmentPromised(let promised): publisher(promised.stream)?.segmentPromised(promised)
    case .forgetSegment(let segment, .none):
      for publisher in state.withLock({ Array($0.publishers.values) }) { publisher.forget(segment) }

    case .subscriberJoined(let joined):
      publisher(joined.stream)?.subscriberJoined(joined, wakePage: descriptor)
    case .subscriberLeft(let subscription, let stream):
      publisher(stream)?.subscriberLeft(subscription)

    case .streamIntroduced(let introduced):
      guard let subscription = subscription(introduced.subscription) else { break }
      subscription.introduce(introduced)
      doorbells.listen(to: introduced, for: subscription)
    case .streamEnded(let ended):
      subscription(ended.subscription)?.streamEnded(ended.stream)
      doorbells.stop(ended.stream, for: ended.subscription)
    case .segmentHanded(let handed):
      if !handed.warm, descriptor == nil {
        // What was promised can't be read, and must not be waited for: the node takes back what this client held.
        return .refused("a segment came without its memory: this process has no descriptor left; raise its limit")
      }
      if let subscription = subscription(handed.subscription) {
        subscription.hand(handed, descriptor: descriptor)
      } else {
        send(.segmentUnmapped(handed.segment.id, by: handed.subscription))
      }
    case .segmentSealed(let sealed): subscription(sealed.subscription)?.segmentSealed(sealed)
    case .forgetSegment(let segment, .some(let id)): subscription(id)?.forget(segment)
    case .lagged(let lagged): subscription(lagged.subscription)?.lagged(lagged)
    }
    return nil
  }

  @discardableResult
  private func answer(_ request: UInt64, _ message: NodeMessage) -> Bool {
    // Taken out meanwhile, so that a cancellation can't answer the same request a second time.
    guard let answer = state.withLock({ $0.answers.removeValue(forKey: request) }) else { return false }
    if !answer.take(message) { state.withLock { $0.answers[request] = answer } }
    return true
  }

  private func publisher(_ stream: StreamID) -> PublisherCore? {
    state.withLock { $0.publishers[stream] }
  }

  private func subscription(_ id: SubscriptionID) -> SubscriptionCore? {
    state.withLock { $0.subscriptions[id] }
  }

  private func end(with loss: BusError) {
    let (answers, publishers, subscriptions) = state.withLock { state in
      state.loss = loss
      defer {
        state.answers = [:]
        state.leases = [:]
      }
      return (
        Array(state.answers.values), Array(state.publishers.values), Array(state.subscriptions.values)
      )
    }
    // The node may live: it shall not wait for what this client held.
    socket.shutDown()
    for answer in answers { answer.fail(loss) }
    for publisher in publishers { publisher.nodeLost() }
    for subscription in subscriptions { subscription.nodeLost(loss) }
  }
}
