import BusProtocol
import PooledMemory
import Vocabulary

// Loans come back: published, and rung if somebody sleeps; or cancelled.

extension PublisherCore {
  func commit(
    _ reservation: Reservation, in segment: LeasedSegment, byteCount: Int, elementStride: UInt32
  ) throws(BusError) {
    let handle: Handle? = try state.withLock { state throws(BusError) in
      try requireTaken(segment, in: &state) { segment.log.cancel(reservation) }
      let sequence = state.nextSequence
      let now = state.clock.now()
      let isLast = segment.isRetired && segment.log.outstanding == 1
      let slot = segment.log.commit(
        reservation, byteCount: byteCount, sequence: sequence, publishTime: now, elementStride: elementStride,
        isLast: isLast)
      state.nextSequence = sequence &+ 1
      try requireOpen(segment, in: &state)
      if isLast { rest(segment, in: &state) }
      return news(at: slot, of: segment, sequence: sequence, byteCount: byteCount, time: now, in: &state)
    }
    if let handle { announce(handle) }
  }

  /// Commits a whole batch: one look at the clock, one commit, one handle at most.
  func commit(_ run: ReservationRun, in segment: LeasedSegment) throws(BusError) {
    let handle: Handle? = try state.withLock { state throws(BusError) in
      try requireTaken(segment, in: &state) { segment.log.cancel(run) }
      let first = state.nextSequence
      let now = state.clock.now()
      let slot = segment.log.commit(run, sequence: first, publishTime: now)
      state.nextSequence = first &+ UInt64(run.count)
      try requireOpen(segment, in: &state)
      restIfDone(segment, in: &state)
      return news(
        at: slot, of: segment, sequence: state.nextSequence &- 1, byteCount: run.byteCount, time: now, in: &state)
    }
    if let handle { announce(handle) }
  }

  /// Refuses what nobody would take any more, and has its room back.
  @inline(__always)
  private func requireTaken(
    _ segment: LeasedSegment, in state: inout State, orElse cancel: () -> Void
  ) throws(BusError) {
    if state.ended == .closed {
      cancel()
      throw .closed
    }
    if isCutOff(segment) {
      cancel()
      restIfDone(segment, in: &state)
      throw .nodeLost
    }
  }

  /// Refuses what was just committed, if it may not be among what the node hands on; the fence is for the listeners, too.
  @inline(__always)
  private func requireOpen(_ segment: LeasedSegment, in state: inout State) throws(BusError) {
    WakePage.fence()
    if segment.isAdopted {
      if isCutOff(segment) { throw .nodeLost }
      return
    }
    guard segment.log.isClosed else { return }
    // The node has ended this client's connection, and lives: nothing more may seem to be published.
    state.ended = state.ended ?? .nodeLost
    state.small = Lane(.small)
    state.large = Lane(.large)
    throw .nodeLost
  }

  /// The handle of what was just committed; nil if nobody needs one.
  @inline(__always)
  private func news(
    at slot: UInt32, of segment: LeasedSegment, sequence: UInt64, byteCount: Int, time: UInt64, in state: inout State
  ) -> Handle? {
    guard state.listeners.mustBeRung(now: time) else { return nil }
    return Handle(
      stream: stream, segment: segment.log.identity, slot: slot, sequence: sequence, byteCount: UInt64(byteCount),
      publishTime: time)
  }

  /// Looks anew whom to tell, as to bring that out of the commit, whole, costs every commit.
  @inline(never)
  private func announce(_ handle: Handle) {
    announcer.announce(handle, to: state.withLock { $0.listeners.calls(at: handle.publishTime) })
  }

  func cancel(_ reservation: Reservation, in segment: LeasedSegment) {
    state.withLock { state in
      segment.log.cancel(reservation)
      restIfDone(segment, in: &state)
    }
  }

  func cancel(_ run: ReservationRun, in segment: LeasedSegment) {
    state.withLock { state in
      segment.log.cancel(run)
      restIfDone(segment, in: &state)
    }
  }
}
