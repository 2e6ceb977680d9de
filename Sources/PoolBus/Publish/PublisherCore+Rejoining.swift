import BusProtocol
import Platform
import PooledMemory
import Vocabulary

extension PublisherCore {
  /// What a new node is told of a publisher.
  struct RejoinState: Sendable {
    var publisher: RejoinPublisher
    var offers: [SegmentOffer]
  }

  /// The node is gone. What is leased can be filled; who needs more waits for a new node, unless it never waits.
  func nodeIsGone() {
    let waiting = state.withLock { state in
      state.isNodeGone = true
      guard whenFull == .fail else { return [LeaseWaiter]() }
      for request in state.requests.keys { node.forgetLease(request) }
      state.requests = [:]
      return state.takeWaiting()
    }
    for waiter in waiting { waiter.continuation.resume(throwing: BusError.nodeLost) }
  }

  /// Whether what is published in a segment goes to nobody, as the node has ended this client's connection, and lives. In
  /// the segments of an earlier node's it can't say so, and the kernel must be asked: only loans that were out when the
  /// node was replaced are published there.
  ///
  /// The node hangs up, and looks then at what is committed. Called behind the commit and its fence, this finds that it
  /// has hung up, or else the node finds what was committed.
  func isCutOff(_ segment: LeasedSegment) -> Bool { segment.isAdopted && node.hasEndedConnection }

  /// It is closed, and what it has published is the node's, or there will be none.
  func letGo() {
    let held = state.withLock { state in
      defer { state.held = [:] }
      return state.held
    }
    // Unmapped here, outside the lock.
    _ = consume held
  }

  /// So many bytes the node that is back allows.
  func allow(_ quota: UInt64) { most.store(SegmentLayout.wholePages(Int(clamping: quota)), ordering: .relaxed) }

  func nodeIsBack() { state.withLock { $0.isNodeGone = false } }

  /// While there is no node, nobody else looks at the time.
  func giveUpOverdue(now: UInt64) {
    let overdue = state.withLock { state in
      let overdue = state.waiting.filter { $0.isOverdue(at: now) }
      if !overdue.isEmpty { state.waiting.removeAll { $0.isOverdue(at: now) } }
      return overdue
    }
    for waiter in overdue { waiter.continuation.resume(throwing: BusError.nodeLost) }
  }

  /// When a loan that begins to wait now gives up.
  var deadline: UInt64? {
    guard case .wait(let timeout?) = whenFull else { return nil }
    return Clock.monotonicNanoseconds.addingClamped(timeout.wholeNanoseconds)
  }

  func rejoinState() -> RejoinState {
    state.withLock { state in
      let publisher = RejoinPublisher(
        stream: stream, topic: topic, whenFull: whenFull, retention: retention,
        lastSequence: state.nextSequence &- 1,
        listeners: Array(state.listeners.subscriptions.prefix(RejoinPublisher.maximumListenerCount)),
        opened: opened)
      // Who may read what another node handed over is not known for sure, and the next node can't say in it that it
      // takes no more: nothing is written there but the loans that are out.
      for segment in state.held.values {
        segment.isAdopted = true
        segment.isRetired = true
        guard segment.log.outstanding == 0 else { continue }
        if !segment.log.isSealed { segment.log.seal() }
        segment.isSealed = true
      }
      state.small.current = nil
      state.large.current = nil
      for kind in Lane.Kind.allCases { _ = state[kind].takeUnused(andAhead: true) }
      state.listeners.countAnew()
      // The next node tells it anew.
      state.isRetained = false
      let offers = state.held.values.map { segment in
        SegmentOffer(
          message: OfferSegment(
            segment: segment.log.identity, capacity: UInt64(segment.log.capacity), stream: stream,
            use: .writing(isSealed: segment.log.isSealed)),
          descriptor: segment.log.descriptor, owner: segment)
      }
      return RejoinState(publisher: publisher, offers: offers)
    }
  }
}
