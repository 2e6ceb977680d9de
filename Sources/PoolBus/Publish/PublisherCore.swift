import BusProtocol
import HandleTransport
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// A publisher's state, shared by the publisher and its loans: which segments it writes to, and what comes next.
///
/// Messages are written to one of two ``Lane``s by their size, so that a small message never waits behind a large one,
/// nor costs it a segment. One lock guards all; nothing under it waits.
final class PublisherCore: Sendable {
  let topic: TopicName
  let stream: StreamID
  /// Bytes that the pool, or the topic's quota, can give at the most: whole pages.
  let limit: Int
  let whenFull: FullPolicy
  let node: NodeConnection
  private let handles: any HandleSender
  let state = Mutex(State())

  struct State {
    var small = Lane(.small)
    var large = Lane(.large)
    var nextSequence: UInt64 = 1
    /// Everything that is mapped, also the sealed and the warm.
    var held: [SegmentID: LeasedSegment] = [:]
    var requests: [UInt64: LeaseRequest] = [:]
    var waiting: [LeaseWaiter] = []
    /// Who listens to the handles.
    var listeners = Listeners()
    /// There is no node at present.
    var isNodeGone = false
    var ended: BusError?

    subscript(_ kind: Lane.Kind) -> Lane {
      get { kind == .small ? small : large }
      _modify {
        switch kind {
        case .small: yield &small
        case .large: yield &large
        }
      }
    }
  }

  /// What a loan asks of the log.
  struct Wish {
    var byteCount: Int
    var alignment: Int
    var attributes: [UInt8]
    /// The smallest segment that can hold it.
    var capacity: Int
    var lane: Lane.Kind

    func reserve(in log: SegmentWriter) -> Reservation? {
      log.reserve(byteCount: byteCount, alignment: alignment, attributes: attributes.span)
    }
  }

  enum Attempt<Room: Sendable> {
    case reserved(LeasedSegment, Room)
    /// The segment for it is on its way. `isOwn`: this attempt asked for it, so its refusal is this attempt's.
    case awaits(request: UInt64, isOwn: Bool)
  }

  init(
    topic: TopicName, stream: StreamID, limit: Int, whenFull: FullPolicy, node: NodeConnection,
    handles: any HandleSender
  ) {
    self.topic = topic
    self.stream = stream
    self.limit = SegmentLayout.wholePages(limit)
    self.whenFull = whenFull
    self.node = node
    self.handles = handles
  }

  // MARK: - Loaning

  /// - Throws: what no waiting can mend: a payload that can never fit, an impossible alignment, bad attributes.
  func wish(byteCount: Int, alignment: Int, attributes: MessageAttributes) throws(BusError) -> Wish {
    guard byteCount >= 0 else { throw .invalidCount(byteCount) }
    guard alignment > 0, alignment <= SegmentLayout.maximumAlignment, alignment & (alignment - 1) == 0 else {
      throw .invalidAlignment(alignment)
    }
    let encoded: [UInt8]
    if attributes.isEmpty {
      encoded = []
    } else {
      do { encoded = try AttributesCodec.encode(attributes) } catch { throw .invalidAttributes("\(error)") }
    }
    let capacity = SegmentLayout.capacity(forPayload: byteCount, alignment: alignment, attributes: encoded.count)
    guard let capacity, capacity <= limit else {
      let most = SegmentLayout.maximumPayload(inCapacity: limit, alignment: alignment, attributes: encoded.count)
      throw .payloadTooLarge(byteCount: byteCount, limit: most)
    }
    return Wish(
      byteCount: byteCount, alignment: alignment, attributes: encoded, capacity: capacity,
      lane: capacity > Lane.largestShared ? .large : .small)
  }

  /// What a batch of messages of one length asks of the log.
  ///
  /// - Throws: as ``wish(byteCount:alignment:attributes:)``.
  func wish(count: Int, byteCount: Int) throws(BusError) -> Wish {
    guard count > 0 else { throw .invalidCount(count) }
    guard byteCount >= 0 else { throw .invalidCount(byteCount) }
    let capacity = SegmentLayout.capacity(forPayloads: count, byteCount: byteCount)
    guard let capacity, capacity <= limit else {
      let whole = count.multipliedReportingOverflow(by: byteCount)
      throw .payloadTooLarge(byteCount: whole.overflow ? .max : whole.partialValue, limit: limit)
    }
    return Wish(
      byteCount: byteCount, alignment: SegmentLayout.minimumAlignment, attributes: [], capacity: capacity,
      lane: capacity > Lane.largestShared ? .large : .small)
  }

  /// Room for the wish, or the lease that will bring it.
  ///
  /// - Parameter reserve: takes the room from a segment; nil if that has too little.
  @inline(__always)
  func attempt<Room: Sendable>(_ wish: Wish, _ reserve: (SegmentWriter) -> Room?) throws(BusError) -> Attempt<Room> {
    try state.withLock { state throws(BusError) in
      // The way of nearly every message: the current segment has room for it.
      if wish.lane == .small, let current = state.small.current, let room = reserve(current.log) {
        if current.needsSuccessor { leaseAhead(of: current, .small, in: &state) }
        return .reserved(current, room)
      }
      if let reserved = reserveNext(wish, reserve, in: &state) { return reserved }
      if let ended = state.ended { throw ended }
      if state.isNodeGone, whenFull == .fail { throw .nodeLost }
      if let request = state.requests.first(where: { $0.value.lane == wish.lane && $0.value.capacity >= wish.capacity })
      {
        return .awaits(request: request.key, isOwn: false)
      }
      makeRoom(for: wish, in: &state)
      let capacity = state[wish.lane].capacity(for: wish.capacity, limit: limit)
      return .awaits(request: request(capacity, wish.lane, isAhead: false, in: &state), isOwn: true)
    }
  }

  /// Room in a segment that was leased ahead, which is the current one from then on.
  private func reserveNext<Room: Sendable>(
    _ wish: Wish, _ reserve: (SegmentWriter) -> Room?, in state: inout State
  ) -> Attempt<Room>? {
    guard state.ended != .closed else { return nil }
    guard let index = state[wish.lane].ahead.firstIndex(where: { $0.log.capacity >= wish.capacity }) else { return nil }
    let next = state[wish.lane].ahead.remove(at: index)
    guard let room = reserve(next.log) else {
      // It came with less room than it was asked for; it goes back unused.
      retire(next)
      return nil
    }
    if let current = state[wish.lane].current { retire(current) }
    state[wish.lane].begin(with: next, now: Clock.monotonicNanoseconds)
    if wish.lane == .large || next.needsSuccessor { leaseAhead(of: next, wish.lane, in: &state) }
    if wish.lane == .large {
      // Its one message fills it: it can be released as soon as that is read.
      state.large.current = nil
      retire(next)
    }
    return .reserved(next, room)
  }

  /// Leases the stream's next segment before this one is full, so that the publisher need not wait for its pages.
  private func leaseAhead(of current: LeasedSegment, _ kind: Lane.Kind, in state: inout State) {
    current.hasSuccessor = true
    guard state[kind].ahead.isEmpty, state.ended == nil,
      let capacity = state[kind].capacityAhead(of: current.log, limit: limit),
      !state.requests.values.contains(where: { $0.lane == kind })
    else { return }
    _ = request(capacity, kind, isAhead: true, in: &state)
  }

  private func request(_ capacity: Int, _ kind: Lane.Kind, isAhead: Bool, in state: inout State) -> UInt64 {
    let id = node.nextRequest()
    state.requests[id] = LeaseRequest(lane: kind, capacity: capacity)
    node.requestLease(
      RequestLease(request: id, stream: stream, capacity: UInt64(capacity), isAhead: isAhead), for: self)
    return id
  }

  /// Gives back what stands in the lease's way: who waits must not hold what others wait for.
  private func makeRoom(for wish: Wish, in state: inout State) {
    // The segment that has no room for the wish. With `.fail` nothing waits, and smaller messages may still fit.
    if whenFull != .fail, let current = state[wish.lane].current {
      state[wish.lane].current = nil
      retire(current)
    }
    // A payload near the limit needs also what is held for others.
    let unsealed = state.held.values.reduce(0) { $0 + ($1.log.isSealed ? 0 : $1.log.capacity) }
    guard wish.capacity > limit - unsealed else { return }
    for kind in [Lane.Kind.small, .large] {
      for segment in state[kind].giveUp() { retire(segment) }
    }
  }

  /// No further loans from it; sealed as soon as the last that is out has come back.
  private func retire(_ segment: LeasedSegment) {
    segment.isRetired = true
    sealIfDone(segment)
  }

  private func sealIfDone(_ segment: LeasedSegment) {
    guard segment.isRetired, segment.log.outstanding == 0, !segment.log.isSealed else { return }
    segment.log.seal()
    node.send(.sealSegment(segment.log.identity))
  }

  // MARK: - Loans come back

  func commit(
    _ reservation: Reservation, in segment: LeasedSegment, byteCount: Int, elementStride: UInt32
  ) throws(BusError) {
    let handle: Handle? = try state.withLock { state throws(BusError) in
      guard state.ended != .closed else {
        segment.log.cancel(reservation)
        throw .closed
      }
      let sequence = state.nextSequence
      let now = Clock.realtimeNanoseconds
      let isLast = segment.isRetired && segment.log.outstanding == 1
      let slot = segment.log.commit(
        reservation, byteCount: byteCount, sequence: sequence, publishTime: now, elementStride: elementStride,
        isLast: isLast)
      state.nextSequence = sequence &+ 1
      let identity = segment.log.identity
      if isLast { node.send(.sealSegment(identity)) }
      guard state.listeners.mustBeRung() else { return nil }
      return Handle(
        stream: stream, segment: identity, slot: slot, sequence: sequence, byteCount: UInt64(byteCount),
        publishTime: now)
    }
    if let handle { send(handle) }
  }

  /// Commits a whole batch: one look at the clock, one commit, one handle at most.
  func commit(_ run: ReservationRun, in segment: LeasedSegment) throws(BusError) {
    let handle: Handle? = try state.withLock { state throws(BusError) in
      guard state.ended != .closed else {
        segment.log.cancel(run)
        throw .closed
      }
      let first = state.nextSequence
      let now = Clock.realtimeNanoseconds
      let slot = segment.log.commit(run, sequence: first, publishTime: now)
      state.nextSequence = first &+ UInt64(run.count)
      let identity = segment.log.identity
      sealIfDone(segment)
      guard state.listeners.mustBeRung() else { return nil }
      return Handle(
        stream: stream, segment: identity, slot: slot, sequence: state.nextSequence &- 1,
        byteCount: UInt64(run.byteCount), publishTime: now)
    }
    if let handle { send(handle) }
  }

  func cancel(_ run: ReservationRun, in segment: LeasedSegment) {
    state.withLock { _ in
      segment.log.cancel(run)
      sealIfDone(segment)
    }
  }

  private func send(_ handle: Handle) {
    var bytes = InlineArray<64, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var room = unsafe span.mutableBytes
    let count = HandleCodec.encode(handle, into: &room)
    handles.send(room.bytes.extracting(first: count))
  }

  func cancel(_ reservation: Reservation, in segment: LeasedSegment) {
    state.withLock { _ in
      segment.log.cancel(reservation)
      sealIfDone(segment)
    }
  }

  // MARK: - What the node says

  func leaseGranted(_ granted: LeaseGranted, descriptor: consuming OwnedDescriptor?) {
    let segment: LeasedSegment
    if granted.warm, let held = state.withLock({ $0.held[granted.segment.id] }) {
      segment = held
      segment.begin(epoch: granted.segment.epoch)
    } else {
      do {
        guard let descriptor else {
          throw MemoryError.unsuitable(subject: "\(granted.segment)", problem: "came without its memory")
        }
        segment = try LeasedSegment(granted, mapping: descriptor, of: self, node: node)
      } catch {
        // Given back unused; the memory is the node's to take.
        node.send(.sealSegment(granted.segment))
        node.send(.segmentUnmapped(granted.segment.id, by: nil))
        return leaseRefused(granted.request, .outOfMemory("\(error)"))
      }
    }
    node.send(.segmentReady(granted.segment))
    let waiting = state.withLock { state in
      state.held[granted.segment.id] = segment
      if let request = state.requests.removeValue(forKey: granted.request), state.ended != .closed {
        state[request.lane].ahead.append(segment)
      } else {
        state.held[granted.segment.id] = nil
      }
      return state.takeWaiting()
    }
    for waiter in waiting { waiter.continuation.resume() }
  }

  func leaseRefused(_ request: UInt64, _ error: BusError) {
    let waiting = state.withLock { state in
      state.requests[request] = nil
      return state.takeWaiting()
    }
    for waiter in waiting {
      if waiter.request == request && waiter.isOwn {
        waiter.continuation.resume(throwing: error)
      } else {
        // Somebody else's wish, or a lease ahead, was refused: ask for one's own.
        waiter.continuation.resume()
      }
    }
  }

  /// Others wait for memory: a lease ahead goes back if it is unused, and still in the life that the node speaks of.
  func giveBack(_ identity: SegmentIdentity) {
    state.withLock { state in
      guard let segment = state.held[identity.id], segment.log.identity == identity else { return }
      if state.small.removeAhead(segment) || state.large.removeAhead(segment) { retire(segment) }
    }
  }

  /// The node has taken the segment back: the mapping that was kept warm goes.
  func forget(_ id: SegmentID) {
    let gone: LeasedSegment? = state.withLock { state in
      guard let segment = state.held[id], segment.log.isSealed else { return nil }
      return state.held.removeValue(forKey: id)
    }
    // Unmapped here, outside the lock.
    _ = consume gone
  }

  func subscriberJoined(_ subscription: SubscriptionID, wakePage: consuming OwnedDescriptor?) {
    // One that is no wake page makes its subscription be rung always, and nobody else.
    let page: WakePageView? = if let wakePage { try? WakePageView(mapping: wakePage) } else { nil }
    state.withLock { $0.listeners.add(subscription, page) }
  }

  func subscriberLeft(_ subscription: SubscriptionID) {
    state.withLock { $0.listeners.remove(subscription) }
  }

  // MARK: - Waiting for a lease

  func awaitLease(_ request: UInt64, isOwn: Bool) async throws {
    let token = node.nextRequest()
    let deadline = deadline
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let isOver = state.withLock { state in
          guard state.requests[request] != nil, !Task.isCancelled else { return true }
          state.waiting.append(
            LeaseWaiter(
              token: token, request: request, isOwn: isOwn, deadline: deadline, continuation: continuation))
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { $0.takeWaiting(token) }
      if isOwn { node.send(.cancelLease(request: request)) }
      waiter?.continuation.resume(throwing: CancellationError())
    }
    try Task.checkCancellation()
  }

  // MARK: - The end

  /// Nothing can be published any more. The node seals what is open; subscribers read on to its end.
  func close() {
    end(with: .closed)
  }

  /// The node is gone: what is leased can still be filled and read, but no more leased.
  func nodeLost() {
    end(with: .nodeLost)
  }

  private func end(with error: BusError) {
    let (waiting, held, isFirst) = state.withLock { state in
      guard state.ended != .closed else { return ([LeaseWaiter](), [LeasedSegment](), false) }
      state.ended = error
      state.requests = [:]
      guard error == .closed else { return (state.takeWaiting(), [], false) }
      // What was published without a node goes to the next one first.
      if state.isNodeGone { return (state.takeWaiting(), [], true) }
      defer { state.held = [:] }
      state.small = Lane(.small)
      state.large = Lane(.large)
      return (state.takeWaiting(), Array(state.held.values), true)
    }
    for waiter in waiting { waiter.continuation.resume(throwing: error) }
    if isFirst { node.closePublisher(stream) }
    // The mappings go here, behind the message that closes the stream; loans that are out keep theirs.
    _ = consume held
  }
}

extension PublisherCore.State {
  mutating func takeWaiting() -> [LeaseWaiter] {
    defer { waiting = [] }
    return waiting
  }

  fileprivate mutating func takeWaiting(_ token: UInt64) -> LeaseWaiter? {
    waiting.firstIndex { $0.token == token }.map { waiting.remove(at: $0) }
  }
}

struct LeaseRequest {
  var lane: Lane.Kind
  var capacity: Int
}

struct LeaseWaiter {
  var token: UInt64
  var request: UInt64
  var isOwn: Bool
  /// When it gives up if there is no node by then; with one, the node tells.
  var deadline: UInt64?
  var continuation: CheckedContinuation<Void, any Error>
}
