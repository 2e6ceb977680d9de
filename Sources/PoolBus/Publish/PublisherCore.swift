import BusProtocol
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
  /// Bytes of the pool, or of the topic's quota: whole pages.
  var limit: Int { most.load(ordering: .relaxed) }
  /// Another for another node: see ``allow(_:)``.
  let most: Atomic<Int>
  /// Bytes of the largest segment that there can be.
  private var largest: Int { min(limit, SegmentLayout.maximumCapacity) }
  let whenFull: FullPolicy
  let retention: Retention?
  let node: NodeConnection
  let announcer: Announcer
  /// By the monotonic clock.
  let opened = Clock.monotonicNanoseconds
  /// Entered twice for each message, nearly always by the thread that publishes.
  let state = BiasedMutex(State())

  struct State: ~Copyable {
    var small = Lane(.small)
    var large = Lane(.large)
    var nextSequence: UInt64 = 1
    var clock = TickClock()
    /// Everything that is mapped, also the sealed and the warm.
    var held: [SegmentID: LeasedSegment] = [:]
    var requests: [UInt64: LeaseRequest] = [:]
    var waiting: [LeaseWaiter] = []
    var listeners = Listeners()
    /// Somebody waits for memory: nothing rests, and nothing is leased ahead.
    var isShort = false
    /// The topic keeps what is written beyond acknowledgement: that is the node's to do, so nothing rests.
    var isRetained = false
    /// There is no node at present.
    var isNodeGone = false
    var ended: End?

    subscript(_ kind: Lane.Kind) -> Lane {
      // Not `get`, which would copy the lane to look at it.
      _read { if kind == .small { yield small } else { yield large } }
      _modify {
        switch kind {
        case .small: yield &small
        case .large: yield &large
        }
      }
    }
  }

  /// Why nothing is leased any more. A byte, as each message asks for it; the error is made of it where one is thrown.
  enum End {
    case closed, nodeLost

    var error: BusError { self == .closed ? .closed : .nodeLost }
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
    /// Readers may be about to be done with a segment: try again.
    case awaitsReaders
    /// The segment for it is on its way. `isOwn`: this attempt asked for it, so its refusal is this attempt's.
    case awaits(request: UInt64, isOwn: Bool)
  }

  init(
    topic: TopicName, stream: StreamID, limit: Int, options: PublisherOptions, node: NodeConnection,
    announcer: Announcer
  ) {
    self.topic = topic
    self.stream = stream
    most = Atomic(SegmentLayout.wholePages(limit))
    whenFull = options.whenFull
    retention = options.retention
    self.node = node
    self.announcer = announcer
  }

  // MARK: - Loaning

  /// - Throws: what no waiting can mend: a payload that can never fit, an impossible alignment, bad attributes.
  func wish(byteCount: Int, alignment: Int, attributes: MessageAttributes) throws(BusError) -> Wish {
    guard byteCount >= 0 else { throw .invalidCount(byteCount) }
    guard SegmentLayout.allows(alignment: alignment) else { throw .invalidAlignment(alignment) }
    let encoded: [UInt8]
    if attributes.isEmpty {
      encoded = []
    } else {
      do { encoded = try AttributesCodec.encode(attributes) } catch { throw .invalidAttributes("\(error)") }
    }
    let capacity = SegmentLayout.capacity(forPayload: byteCount, alignment: alignment, attributes: encoded.count)
    guard let capacity, capacity <= limit else {
      let payload = SegmentLayout.maximumPayload(
        inCapacity: largest, alignment: alignment, attributes: encoded.count)
      throw .payloadTooLarge(byteCount: byteCount, limit: payload)
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
      let (payloads, overflow) = count.multipliedReportingOverflow(by: byteCount)
      throw .payloadTooLarge(byteCount: capacity ?? (overflow ? .max : payloads), limit: largest)
    }
    return Wish(
      byteCount: byteCount, alignment: SegmentLayout.minimumAlignment, attributes: [], capacity: capacity,
      lane: capacity > Lane.largestShared ? .large : .small)
  }

  /// Room for a message without attributes in the segment at hand, as for nearly every message; nil if one must look for
  /// it, or the request makes no sense.
  @inline(__always)
  func reserveAtHand(byteCount: Int, alignment: Int) -> (LeasedSegment, Reservation)? {
    // Of larger alignments, and of payloads about the limit between the lanes, the other way takes care.
    guard alignment <= SegmentLayout.minimumAlignment, SegmentLayout.allows(alignment: alignment) else { return nil }
    return state.withLock { state in
      guard let current = byteCount <= Lane.largestShared / 2 ? state.small.current : state.large.current,
        current.lane == .small || byteCount > Lane.largestShared,
        let reservation = current.log.reserve(byteCount: byteCount)
      else { return nil }
      prepareEnd(of: current, behind: byteCount, in: &state)
      return (current, reservation)
    }
  }

  /// Room for the wish, or the lease that will bring it.
  ///
  /// - Parameter reserve: takes the room from a segment; nil if that has too little.
  @inline(__always)
  func attempt<Room: Sendable>(_ wish: Wish, _ reserve: (SegmentWriter) -> Room?) throws(BusError) -> Attempt<Room> {
    try state.withLock { state throws(BusError) in
      // The way of nearly every message: the current segment has room for it.
      if let current = wish.lane == .small ? state.small.current : state.large.current, let room = reserve(current.log)
      {
        prepareEnd(of: current, behind: wish.byteCount, in: &state)
        return .reserved(current, room)
      }
      if let reserved = reserveNext(wish, reserve, in: &state) { return reserved }
      if let ended = state.ended { throw ended.error }
      if state.isNodeGone, whenFull == .fail { throw .nodeLost }
      if let request = state.requests.first(where: { $0.value.lane == wish.lane && $0.value.capacity >= wish.capacity })
      {
        return .awaits(request: request.key, isOwn: false)
      }
      if mayWaitForReaders(on: wish.lane, in: &state) { return .awaitsReaders }
      makeRoom(for: wish, in: &state)
      let capacity = state[wish.lane].capacity(for: wish.capacity, limit: limit)
      let minimum = min(max(wish.capacity, SegmentSizing.smallest), capacity)
      return .awaits(request: request(capacity, minimum, wish.lane, isAhead: false, in: &state), isOwn: true)
    }
  }

  // MARK: - Who listens

  func subscriberJoined(_ joined: SubscriberJoined, wakePage: consuming OwnedDescriptor?) {
    // One that is no wake page makes its subscription be rung always, and nobody else.
    let page: WakePageView? = if let wakePage { try? WakePageView(mapping: wakePage) } else { nil }
    state.withLock { $0.listeners.add(joined, page) }
  }

  func segmentPromised(_ promised: SegmentPromised) {
    state.withLock { $0.listeners.promise(promised.segment, to: promised.subscription, place: promised.place) }
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

  private func end(with end: End) {
    let (waiting, isClosing) = state.withLock { state in
      guard state.ended != .closed else { return ([LeaseWaiter](), false) }
      state.ended = end
      state.requests = [:]
      if end == .closed {
        state.small = Lane(.small)
        state.large = Lane(.large)
      }
      return (state.takeWaiting(), end == .closed)
    }
    for waiter in waiting { waiter.continuation.resume(throwing: end.error) }
    // The mappings go behind the message that closes the stream; loans that are out keep theirs.
    if isClosing, node.closePublisher(stream) { letGo() }
  }
}
