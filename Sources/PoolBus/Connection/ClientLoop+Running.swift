import BusProtocol
import HandleTransport
import Platform
import Vocabulary

// What the client's thread does: waits for the node's packets, for handles and for jobs, until it is stopped or no node is
// left.

extension ClientLoop {
  private enum Token {
    static let node: UInt64 = 0
    static let wake: UInt64 = 1
    static let handles: UInt64 = 2
    static let bell: UInt64 = 3
  }

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
      var bell: Bell?
      var obstacle: PacketOutbox.Obstacle?
      var mayHaveHandles = false
      var search: Search?

      loop: while true {
        var (hasNews, isRung) = (false, false)
        let timeout =
          mayHaveHandles
          ? 0
          : timeout(
            recheck: doorbells.recheckInterval, search: search, isConnected: connection != nil, obstacle: obstacle)
        _ = try poller.wait(timeoutNanoseconds: timeout) { ready in
          if ready.token == Token.wake { executor.clear() }
          if ready.token == Token.node { hasNews = true }
          if ready.token == Token.bell { isRung = true }
        }
        // First, as somebody is waiting for this.
        if isRung, let bell {
          doorbells.answer(bell)
          executor.runJobs()
        }
        if hasNews, let current = connection, let error = try receive(from: current, into: &buffer, doorbells) {
          loss = error
          guard error == .nodeLost, let since = nodeIsGone() else { break loop }
          try? poller.remove(current.socket.raw)
          connection = nil
          obstacle = nil
          if search?.start == since {
            // Whoever hangs up without a welcome is no node: the search goes on, and no faster.
            search?.failed(at: Clock.monotonicNanoseconds)
          } else {
            search = Search(start: since)
          }
        }
        if search != nil, connection != nil, state.withLock({ $0.phase == .joined }) { search = nil }
        if let search, hasSearchedEnough(search) || state.withLock({ $0.isClosed }) { break loop }
        if search != nil { giveUpOverdue() }
        if var looking = search, connection == nil {
          connection = findNode(&looking)
          search = looking
          if let connection { try poller.add(connection.socket.raw, token: Token.node, .readable) }
        }
        // Also when no handle seems to wait: ZeroMQ tells of new ones only after all the old ones were taken.
        // Who is woken goes on before the next handle is looked for, which costs system calls.
        mayHaveHandles = doorbells.drain { executor.runJobs() }
        executor.runJobs()
        doorbells.recheckIfDue()

        let (isOpen, waitsFor, closed) = state.withLock { state in
          defer { if !state.closed.isEmpty { state.closed = [] } }
          if let connection = state.connection, !state.outbox.isEmpty, !state.outbox.flush(over: connection.socket) {
            connection.socket.shutDown()
          }
          return (!state.isStopping, state.outbox.obstacle, state.closed)
        }
        for id in closed { doorbells.remove(id) }
        if !isOpen { break loop }
        if waitsFor != obstacle, let connection {
          obstacle = waitsFor
          try poller.modify(
            connection.socket.raw, token: Token.node, obstacle == .room ? [.readable, .writable] : .readable)
        }
        if let hung = membership.bell, hung !== bell {
          if let bell { try? poller.remove(bell.descriptor) }
          try poller.add(hung.descriptor, token: Token.bell, .readable)
          bell = hung
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
  private func timeout(
    recheck: UInt64?, search: Search?, isConnected: Bool, obstacle: PacketOutbox.Obstacle?
  ) -> UInt64? {
    guard executor.isIdle else { return 0 }
    var timeout = recheck
    if obstacle == .descriptorsUnderWay { timeout = min(timeout ?? .max, PacketOutbox.pauseNanoseconds) }
    guard let search else { return timeout }
    // Whoever has accepted the connection may never answer: the time is looked at all the same.
    if isConnected { return min(timeout ?? .max, Search.longest) }
    let now = Clock.monotonicNanoseconds
    return min(timeout ?? .max, search.next > now ? search.next - now : 0)
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
