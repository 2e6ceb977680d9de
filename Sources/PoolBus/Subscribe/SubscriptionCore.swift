import BusProtocol
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// A subscription's state: its cursor in each stream, the mappings it keeps warm, and who waits for the next message.
final class SubscriptionCore: Sendable {
  let id: SubscriptionID
  let pattern: TopicPattern
  /// Takes handles instead of messages, if this subscription only observes.
  let observer: HandleQueue?
  private let node: NodeConnection
  /// Written with the state's lock held only.
  private let doze: Doze?
  let state = Mutex(State())

  struct State: ~Copyable {
    var cursors: [StreamCursor] = []
    /// The cursor whose turn it is: one that has messages is read on, so that a busy stream costs no search.
    var turn = 0
    var takenInTurn = 0
    var mappings: [SegmentID: ReadMapping] = [:]
    /// What was handed and may be held still.
    var handed: [SegmentIdentity: WeakSegment] = [:]
    /// Streams that the next node has not spoken of yet.
    var unheardOf: Set<StreamID> = []
    var waiting: WaitingTask?
    var failure: BusError?
    var ended: BusError?
    var lagged: UInt64 = 0
  }

  struct Message {
    var segment: BorrowedSegment
    var slot: Slot
    /// How many messages of the stream lie there, this one included.
    var count = 1
  }

  /// Messages of one stream in a row while others have some, too.
  private static let turnLength = 64

  init(id: SubscriptionID, pattern: TopicPattern, node: NodeConnection, doze: Doze?, observer: HandleQueue?) {
    self.doze = doze
    self.id = id
    self.pattern = pattern
    self.node = node
    self.observer = observer
  }

  // MARK: - Reading

  /// The next message, with those that follow it in one place, or nil if none is there.
  ///
  /// - Parameter limit: how many messages at the most.
  /// - Throws: what was lost or is corrupt, once, at its place in the stream; the end when all is read.
  func take(limit: Int = 1) throws(BusError) -> Message? {
    try state.withLock { state throws(BusError) in
      if let failure = state.failure {
        state.failure = nil
        throw failure
      }
      var remaining = state.cursors.count
      while remaining > 0 {
        if state.turn >= state.cursors.count { state.turn = 0 }
        let turn = state.turn
        switch state.cursors[turn].look() {
        case .message(let index, let slot):
          let message: Message
          if limit > 1 {
            let (segment, count) = state.cursors[turn].takeRun(slot, at: index, limit: limit)
            message = Message(segment: segment, slot: slot, count: count)
          } else {
            message = Message(segment: state.cursors[turn].take(slot, at: index), slot: slot)
          }
          state.takenInTurn += message.count
          if state.takenInTurn >= Self.turnLength { state.nextTurn() }
          return message
        case .lagged(let range):
          state.cursors[turn].skip(range)
          let lag = Lag(topic: state.cursors[turn].topic, stream: state.cursors[turn].stream, sequences: range)
          state.lagged &+= lag.messages
          throw .lagged(lag)
        case .corrupt(let index, let error):
          state.cursors[turn].skipCorrupt(at: index)
          throw .corruptSegment("\(state.cursors[turn].topic), \(error)")
        case .nothing:
          state.nextTurn()
        case .finished:
          state.cursors.remove(at: turn)
        }
        remaining -= 1
      }
      if let ended = state.ended { throw ended }
      return nil
    }
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
  func ring() {
    state.withLock { takeWaiting(&$0) }?.resume()
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
      // One that the node before had introduced already is read on.
      if state.cursor(of: introduced.stream) == nil { state.cursors.append(cursor) }
    }
  }

  func hand(_ handed: SegmentHanded, descriptor: consuming OwnedDescriptor?) {
    let id = handed.segment.id
    let mapping: ReadMapping
    if handed.warm, let warm = state.withLock({ $0.mappings[id] }) {
      mapping = warm
    } else {
      do {
        guard let descriptor else { return }
        let (node, subscription) = (node, self.id)
        mapping = try ReadMapping(
          descriptor: descriptor, id: id, capacity: Int(clamping: handed.capacity), populate: true,
          keepsDescriptor: node.rejoins,
          onUnmap: { node.send(.segmentUnmapped(id, by: subscription)) })
      } catch {
        node.send(.releaseSegment(handed.segment, by: self.id))
        node.send(.segmentUnmapped(id, by: self.id))
        return update { $0.failure = .corruptSegment("\(handed.segment) can't be mapped: \(error)") }
      }
    }
    let reader = SegmentReader(mapping: mapping, epoch: handed.segment.epoch)
    let (node, subscription) = (node, self.id)
    update { state in
      guard state.ended != .closed, let index = state.cursor(of: handed.stream) else { return }
      state.mappings[id] = mapping
      let segment = BorrowedSegment(
        reader: reader, topic: state.cursors[index].topic, stream: handed.stream,
        onPass: { node.send(.segmentPassed(handed.segment, by: subscription)) },
        onRelease: { node.send(.releaseSegment(handed.segment, by: subscription)) })
      note(segment, in: &state)
      state.cursors[index].add(segment)
    }
  }

  func segmentSealed(_ sealed: SegmentSealed) {
    update { state in
      if let index = state.cursor(of: sealed.stream) {
        state.cursors[index].sealed(sealed.segment, slots: sealed.slots)
      }
    }
  }

  func lagged(_ lagged: Lagged) {
    update { state in
      guard let index = state.cursor(of: lagged.stream) else { return }
      for range in lagged.ranges { state.cursors[index].lose(range) }
    }
  }

  /// - Returns: the stream's topic if its publisher has not come back with the node.
  func streamEnded(_ stream: StreamID) -> TopicName? {
    var topic: TopicName?
    update { state in
      guard let index = state.cursor(of: stream) else { return }
      if state.unheardOf.remove(stream) != nil { topic = state.cursors[index].topic }
      state.cursors[index].end()
    }
    return topic
  }

  /// Unmaps as soon as no sample is borrowed from it.
  func forget(_ segment: SegmentID) {
    let mapping = state.withLock { state in
      for index in state.cursors.indices { state.cursors[index].drop(segment) }
      return state.mappings.removeValue(forKey: segment)
    }
    // Unmapped here, outside the lock.
    _ = consume mapping
  }

  // MARK: - The end

  func close() {
    let (mappings, isFirst) = state.withLock { state in
      guard state.ended != .closed else { return ([ReadMapping](), false) }
      state.ended = .closed
      for index in state.cursors.indices { state.cursors[index].dropAll() }
      state.cursors = []
      defer { state.mappings = [:] }
      return (Array(state.mappings.values), true)
    }
    ring()
    observer?.finish()
    if isFirst { node.closeSubscription(id) }
    _ = consume mappings
  }

  /// Nothing new will come; what was handed is read to its end.
  func nodeLost(_ error: BusError) {
    update { state in
      if state.ended == nil { state.ended = error }
    }
    observer?.finish()
  }
}

extension SubscriptionCore.State {
  fileprivate func cursor(of stream: StreamID) -> Int? { cursors.firstIndex { $0.stream == stream } }

  fileprivate mutating func nextTurn() {
    turn += 1
    takenInTurn = 0
  }

  /// Whether ``SubscriptionCore/take()`` would return or throw something.
  fileprivate var isReady: Bool {
    mutating get {
      if failure != nil || ended != nil { return true }
      for index in cursors.indices {
        switch cursors[index].look() {
        case .message, .lagged, .corrupt: return true
        case .nothing, .finished: continue
        }
      }
      return false
    }
  }
}
