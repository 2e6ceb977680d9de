import BusProtocol
import Platform
import PooledMemory
import Vocabulary

// Which segments a publisher writes to: it renews those that all have read, leases others ahead of need, and gives back
// what others wait for.

extension PublisherCore {
  /// Room in the segment that is the current one from then on: one that rests and that all have read, or one that was
  /// leased ahead.
  func reserveNext<Room: Sendable>(
    _ wish: Wish, _ reserve: (SegmentWriter) -> Room?, in state: inout State
  ) -> Attempt<Room>? {
    guard state.ended != .closed else { return nil }
    let now = state.clock.monotonic()
    state[wish.lane].sizing.asked(at: now)
    let isLarger = !state.isNodeGone && state[wish.lane].mayGrow(for: wish.capacity, limit: limit)
    let rested = isLarger ? nil : restedSegment(for: wish, in: &state)
    if rested == nil, !isLarger, state.ended == nil, state[wish.lane].isFullGrown(limit: limit),
      mayWaitForReaders(on: wish.lane, in: &state)
    {
      return .awaitsReaders
    }
    guard let next = rested ?? state[wish.lane].takeAhead(for: wish.capacity) else { return nil }
    guard let room = reserve(next.log) else {
      // It came with less room than it was asked for; it goes back unused.
      retire(next, in: &state)
      return nil
    }
    if let current = state[wish.lane].current { retire(current, in: &state) }
    state[wish.lane].begin(with: next, isRenewed: rested != nil, isLarger: isLarger, now: now)
    if isLarger { for segment in state[wish.lane].takeReplaced() { seal(segment) } }
    prepareEnd(of: next, behind: wish.byteCount, in: &state)
    return .reserved(next, room)
  }

  /// A segment that all have read, in its next life.
  private func restedSegment(for wish: Wish, in state: inout State) -> LeasedSegment? {
    // Who joins the next node before this client does, is not known here, and may want what rests.
    guard !state.isNodeGone,
      let index = state[wish.lane].rested(for: wish.capacity, where: { mayBeRenewed($0, state.listeners) })
    else { return nil }
    let rested = state[wish.lane].resting.remove(at: index)
    rested.begin(epoch: rested.log.identity.epoch + 1, after: state.nextSequence &- 1)
    return rested
  }

  private func mayBeRenewed(_ segment: LeasedSegment, _ listeners: Listeners) -> Bool {
    segment.log.identity.epoch < .max && listeners.haveRead(segment)
  }

  /// Leases the stream's next segment before this one is full, so that the publisher need not wait for its pages; unless
  /// one is at rest that all have read, and is as large as it should be.
  func leaseAhead(of current: LeasedSegment, in state: inout State) {
    current.hasSuccessor = true
    let kind = current.lane
    guard state[kind].ahead.isEmpty, state.ended == nil, !state.isShort,
      let capacity = state[kind].capacityAhead(limit: limit),
      !state.requests.values.contains(where: { $0.lane == kind })
    else { return }
    let isToGrow = state[kind].hasOutgrown(current, limit: limit)
    if !isToGrow {
      guard !state[kind].countsOnReaders(at: state.clock.monotonic()),
        state.isNodeGone || !state[kind].resting.contains(where: { mayBeRenewed($0, state.listeners) })
      else { return }
    }
    _ = request(capacity, capacity, kind, isAhead: true, isToGrow: isToGrow, in: &state)
  }

  /// Whether a segment that rests may be written anew soon enough to be worth more than a lease.
  func mayWaitForReaders(on kind: Lane.Kind, in state: inout State) -> Bool {
    let now = state.clock.monotonic()
    guard state[kind].countsOnReaders(at: now), !state.isNodeGone else { return false }
    let longest =
      state[kind].isFullGrown(limit: limit)
      ? Patience.longestForLarge(
        readers: state.listeners.readerCount, life: state[kind].sizing.life,
        capacity: state[kind].resting.last?.log.capacity ?? 0)
      : Patience.longest
    return state[kind].patience.allowsWaiting(upTo: longest, now: now)
  }

  /// Whether they have read a segment that rests and can hold the wish: cheaper to ask, again and again, than to attempt it.
  func readersAreDone(for wish: Wish) -> Bool {
    state.withLock { state in
      // Not `state[wish.lane]`, which allocates in a debug build: this is asked again and again.
      switch wish.lane {
      case .small: state.small.rested(for: wish.capacity) { mayBeRenewed($0, state.listeners) } != nil
      case .large: state.large.rested(for: wish.capacity) { mayBeRenewed($0, state.listeners) } != nil
      }
    }
  }

  func request(
    _ capacity: Int, _ minimum: Int, _ kind: Lane.Kind, isAhead: Bool, isToGrow: Bool = false, in state: inout State
  ) -> UInt64 {
    let id = node.nextRequest()
    state.requests[id] = LeaseRequest(lane: kind, capacity: capacity, isAhead: isAhead, isToGrow: isToGrow)
    node.requestLease(
      RequestLease(
        request: id, stream: stream, capacity: UInt64(capacity), isAhead: isAhead, minimum: UInt64(minimum)),
      for: self)
    return id
  }

  /// Gives back what stands in the lease's way: who waits must not hold what others wait for.
  func makeRoom(for wish: Wish, in state: inout State) {
    state.isShort = true
    sealUnused(andAhead: false, in: &state)
    // The segment that has no room for the wish. With `.fail` nothing waits, and smaller messages may still fit.
    if whenFull != .fail, let current = state[wish.lane].current {
      state[wish.lane].current = nil
      retire(current, in: &state)
    }
    // A payload near the limit needs also what is held for others.
    let unsealed = state.held.values.reduce(0) { $0 + ($1.isSealed ? 0 : $1.log.capacity) }
    guard wish.capacity > limit - unsealed else { return }
    sealUnused(in: &state)
    retireCurrent(in: &state)
  }

  // MARK: - A segment's life ends

  /// Sees to the segment that follows, once a loan has left less than half of this one free; and retires this one if it has no
  /// room for another such message: it is read, and can be written anew, the sooner.
  @inline(__always)
  func prepareEnd(of segment: LeasedSegment, behind byteCount: Int, in state: inout State) {
    let free = segment.log.freeByteCount
    // One that has no room for another such message has less free, too: the one that it holds and the header are more.
    guard free < segment.log.capacity / 2 else { return }
    if !segment.hasSuccessor { leaseAhead(of: segment, in: &state) }
    guard free < byteCount + SegmentLayout.slotByteCount else { return }
    state[segment.lane].current = nil
    retire(segment, in: &state)
  }

  private func retireCurrent(in state: inout State) {
    for kind in Lane.Kind.allCases {
      if let current = state[kind].current.take() { retire(current, in: &state) }
    }
  }

  /// No further loans from it; its life ends as soon as the last that is out has come back.
  func retire(_ segment: LeasedSegment, in state: inout State) {
    segment.isRetired = true
    restIfDone(segment, in: &state)
  }

  func restIfDone(_ segment: LeasedSegment, in state: inout State) {
    // Of one that is closed, a lane would keep it mapped for ever.
    guard state.ended != .closed, segment.isRetired, segment.log.outstanding == 0, !segment.log.isSealed else { return }
    segment.log.seal()
    rest(segment, in: &state)
  }

  /// The log is sealed. The segment rests until all have read it, when it is written anew without the node's doing; or
  /// else it is the node's to reclaim.
  func rest(_ segment: LeasedSegment, in state: inout State) {
    state[segment.lane].sizing.ended(at: state.clock.monotonic())
    guard !state.isShort, !state.isRetained, !segment.isAdopted, !segment.isForced, segment.log.committed > 0,
      state.isNodeGone || !state[segment.lane].isReplaced(segment)
    else { return seal(segment) }
    segment.joins = segment.log.joins
    state[segment.lane].resting.append(segment)
    if state[segment.lane].resting.count > Lane.mostResting, !state.isNodeGone {
      seal(state[segment.lane].resting.removeFirst())
    }
  }

  func seal(_ segment: LeasedSegment) {
    segment.isSealed = true
    node.send(.sealSegment(segment.log.identity))
  }

  /// The subscription has left. Samples may be out, of which it says nothing any more: what it has not let go of is the
  /// node's, which waits until it is unmapped. So is all that it has, if it was cut off: what it has let go of it would read
  /// again if that was renewed. Of one that has died, nothing is.
  func subscriberLeft(_ subscription: SubscriptionID, _ departure: Departure) {
    state.withLock { state in
      for segment in state.held.values {
        switch departure {
        case .closed where state.listeners.hasRead(segment.log.identity, subscription), .died: continue
        case .closed, .cutOff: segment.isForced = true
        }
      }
      state.listeners.remove(subscription)
      for kind in Lane.Kind.allCases {
        for segment in state[kind].takeForced() { seal(segment) }
      }
    }
  }

  // MARK: - Others need memory

  /// Others wait for memory: all goes back, as soon as it is read, and the next lease will be of less.
  func giveBack() {
    let now = Clock.monotonicNanoseconds
    state.withLock { state in
      state.isShort = true
      sealUnused(in: &state)
      for kind in Lane.Kind.allCases { state[kind].sizing.shrink(now: now, limit: limit) }
      retireCurrent(in: &state)
    }
  }

  /// Whether the node keeps the topic's messages beyond acknowledgement, from now on.
  func retain(_ isRetained: Bool) {
    state.withLock { state in
      state.isRetained = isRetained
      if isRetained { sealUnused(in: &state) }
    }
  }

  /// Seals what rests, and what was leased ahead.
  private func sealUnused(andAhead: Bool = true, in state: inout State) {
    for kind in Lane.Kind.allCases {
      for segment in state[kind].takeUnused(andAhead: andAhead) {
        if !segment.log.isSealed { segment.log.seal() }
        seal(segment)
      }
    }
  }
}
