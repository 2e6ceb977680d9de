import BusProtocol
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// A subscription's state: its cursor in each stream, the mappings it keeps warm, and who waits for the next message.
final class SubscriptionCore: Sendable {
  let id: SubscriptionID
  let pattern: TopicPattern
  let options: SubscriberOptions
  /// Takes handles instead of messages, if this subscription only observes.
  let observer: HandleQueue?
  /// By the monotonic clock.
  let joined = Clock.monotonicNanoseconds
  let node: NodeConnection
  /// Written with the state's lock held only.
  let doze: Doze?
  let state = Mutex(State())

  struct State: ~Copyable {
    var cursors: [StreamCursor] = []
    /// The cursor whose turn it is: one that has messages is read on, so that a busy stream costs no search.
    var turn = 0
    var takenInTurn = 0
    /// Messages of one stream in a row: the more, the longer the others that are looked at in between have had none.
    var turnLength = SubscriptionCore.shortestTurn
    /// The cursor that is looked at next when it is another's turn.
    var patrol = 0
    /// Everything that is mapped, also what is read.
    var held: [SegmentID: HeldSegment] = [:]
    /// Streams that the next node has not spoken of yet.
    var unheardOf: Set<StreamID> = []
    /// Streams that were read to their ends, and may yet go on.
    var departed = DepartedStreams()
    var waiting: WaitingTask?
    var failure: BusError?
    var ended: BusError?
    var lagged: UInt64 = 0
  }

  typealias Message = StreamCursor.Message

  /// Messages of one stream in a row while others have some, too.
  static let shortestTurn = 64
  /// Messages of one stream in a row while others have none: to look at each costs as much as several messages, as it is
  /// long out of the caches where they are a thousand.
  static let longestTurn = 512
  /// How many other streams are looked at when a turn is over, or for ``Reach/nearby``: few, so that a busy stream among a
  /// thousand idle ones is read as fast as one alone.
  private static let patrolLength = 8

  /// Looks with the lock held: to take it costs as much as several, and others wait about a microsecond for it.
  static let mostLooks = 32

  /// Where to look for a message before saying that there is none.
  enum Reach {
    /// Where the last one was.
    case atHand
    /// In a few other streams, too: again and again, it comes to all.
    case nearby
    case everywhere
  }

  init(
    id: SubscriptionID, pattern: TopicPattern, options: SubscriberOptions, node: NodeConnection, doze: Doze?,
    observer: HandleQueue?
  ) {
    self.doze = doze
    self.id = id
    self.pattern = pattern
    self.options = options
    self.node = node
    self.observer = observer
  }

  // MARK: - Reading

  /// The next message, with those that follow it in one place, or nil if none is there.
  ///
  /// - Parameters:
  ///   - limit: how many messages at the most.
  ///   - looks: how often to look where the last one was; at the most ``mostLooks``.
  /// - Throws: what was lost or is corrupt, once, at its place in the stream; the end when all is read.
  @inline(__always)
  func take(limit: Int = 1, looks: Int = 1, _ reach: Reach = .everywhere) throws(BusError) -> Message? {
    try state.withLock { state throws(BusError) in
      // The way of nearly every message.
      let turn = state.turn
      if turn < state.cursors.count, state.takenInTurn < state.turnLength, state.failure == nil {
        if let message = state.cursors[turn].takeAtHand(limit: limit, looks: min(looks, Self.mostLooks)) {
          state.takenInTurn += message.count
          return message
        }
        let isAll = state.cursors.count == 1 && state.ended == nil
        if reach == .atHand || isAll, state.cursors[turn].isQuiet { return nil }
      }
      return try search(limit, reach, in: &state)
    }
  }

  @inline(never)
  private func search(_ limit: Int, _ reach: Reach, in state: inout State) throws(BusError) -> Message? {
    let isTurnOver = state.takenInTurn >= state.turnLength
    let others =
      if reach == .everywhere || state.ended != nil { Int.max } else if isTurnOver || reach == .nearby {
        Self.patrolLength
      } else { 0 }
    return try state.search(limit, others: others, isTurnOver: isTurnOver)
  }

  var wakePage: CInt? { doze?.descriptor }

  /// Messages lost to policies so far.
  var lagged: UInt64 { state.withLock { $0.lagged } }

  // MARK: - Waiting

  /// Returns when there may be something to take, at once if the task is cancelled.
  /// - Throws: ``BusError/alreadyWaiting``.
  func wait() async throws(BusError) {
    let isAlone = await withTaskCancellationHandler {
      var isAlone = true
      await WaitingTask.suspend { task in
        var task: WaitingTask? = task
        state.withLock { state in
          if state.waiting != nil {
            isAlone = false
            return
          }
          // Whoever commits after this look sees that the subscription sleeps, and rings.
          doze?.setAsleep()
          if Task.isCancelled || state.isReady {
            doze?.setAwake()
          } else {
            state.waiting = task.take()
          }
        }
      }
      return isAlone
    } onCancel: {
      ring()
    }
    guard isAlone else { throw .alreadyWaiting }
  }

  /// Wakes who waits.
  ///
  /// - Parameter stream: which stream has something, if that is known.
  func ring(for stream: StreamID? = nil) {
    let waiting = state.withLock { state in
      let waiting = takeWaiting(&state)
      if waiting != nil, let stream, let index = state.cursor(of: stream) { state.turn(to: index) }
      return waiting
    }
    waiting?.resume()
  }

  /// Wakes who waits if there is something, as a handle would have.
  func recheck() {
    state.withLock { $0.waiting != nil && $0.isReady ? takeWaiting(&$0) : nil }?.resume()
  }

  /// Changes the state and wakes who waits.
  private func update(_ change: (inout State) -> Void) {
    let waiting = state.withLock { state in
      change(&state)
      return takeWaiting(&state)
    }
    waiting?.resume()
  }

  /// - Returns: who waited; it goes on when this is let go, outside the lock.
  private func takeWaiting(_ state: inout State) -> WaitingTask? {
    if state.waiting != nil { doze?.setAwake() }
    return state.waiting.take()
  }

  // MARK: - What the node says

  func introduce(_ introduced: StreamIntroduced) {
    let cursor = StreamCursor(
      topic: introduced.topic, stream: introduced.stream, firstSequence: introduced.firstSequence)
    guard observer == nil else { return }
    state.withLock { state in
      state.unheardOf.remove(introduced.stream)
      if let index = state.cursorReturning(of: introduced.stream) {
        // One that the node before had introduced already is read on.
        state.cursors[index].goOn(from: introduced.firstSequence)
      } else {
        state.cursors.append(cursor)
      }
    }
  }

  func hand(_ handed: SegmentHanded, descriptor: consuming OwnedDescriptor?) {
    let id = handed.segment.id
    let held: HeldSegment
    if handed.warm, let warm = state.withLock({ $0.held[id] }) {
      held = warm
    } else {
      do {
        guard let descriptor else { return }
        let (node, subscription) = (node, self.id)
        let mapping = try ReadMapping(
          descriptor: descriptor, id: id, capacity: Int(clamping: handed.capacity), populate: true,
          keepsDescriptor: node.rejoins,
          onUnmap: { node.send(.segmentUnmapped(id, by: subscription)) })
        held = HeldSegment(
          mapping: mapping, stream: handed.stream, place: handed.place, subscription: subscription, doze: doze,
          node: node)
      } catch {
        node.send(.releaseSegment(handed.segment, by: self.id))
        node.send(.segmentUnmapped(id, by: self.id))
        return update { state in
          state.failure = .corruptSegment("\(handed.segment) can't be mapped: \(error)")
          if let index = state.cursor(of: handed.stream) { state.cursors[index].skipCorrupt(at: nil) }
        }
      }
    }
    update { state in
      guard state.ended != .closed, let index = state.cursorReturning(of: handed.stream) else { return }
      state.held[id] = held
      state.cursors[index].add(held, epoch: handed.segment.epoch)
    }
  }

  func segmentSealed(_ sealed: SegmentSealed) {
    update { state in
      state.held[sealed.segment.id]?.sealed(sealed.segment.epoch)
      if let index = state.cursor(of: sealed.stream) {
        state.cursors[index].sealed(sealed.segment, slots: sealed.slots)
      }
    }
  }

  func lagged(_ lagged: Lagged) {
    update { state in
      guard let index = state.cursorReturning(of: lagged.stream) else { return }
      for range in lagged.ranges { state.cursors[index].lose(range) }
    }
  }

  /// - Returns: the stream's topic if its publisher has not come back with the node.
  func streamEnded(_ ended: StreamEnded) -> TopicName? {
    var topic: TopicName?
    update { state in
      guard let index = state.cursor(of: ended.stream) else { return }
      if state.unheardOf.remove(ended.stream) != nil { topic = state.cursors[index].topic }
      state.cursors[index].end(mayReturn: ended.mayReturn)
    }
    return topic
  }

  /// Unmaps as soon as no sample is borrowed from it.
  func forget(_ segment: SegmentID) {
    let held = state.withLock { state in
      for index in state.cursors.indices { state.cursors[index].drop(segment) }
      return state.held.removeValue(forKey: segment)
    }
    // Unmapped here, outside the lock.
    _ = consume held
  }

  // MARK: - The end

  func close() {
    let (held, isFirst) = state.withLock { state in
      guard state.ended != .closed else { return ([HeldSegment](), false) }
      state.ended = .closed
      for index in state.cursors.indices { state.cursors[index].dropAll() }
      state.cursors = []
      defer { state.held = [:] }
      return (Array(state.held.values), true)
    }
    ring()
    observer?.finish()
    if isFirst { node.closeSubscription(id) }
    _ = consume held
  }

  /// Nothing new will come; what was handed is read to its end.
  func nodeLost(_ error: BusError) {
    update { state in
      if state.ended == nil { state.ended = error }
    }
    observer?.finish()
  }
}
