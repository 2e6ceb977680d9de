import BusProtocol
import Platform
import PooledMemory
import Vocabulary

// Segments come from the node, or are refused, or are taken back; and loans wait for them.

struct LeaseRequest {
  var lane: Lane.Kind
  var capacity: Int
  /// No loan has asked for it.
  var isAhead = false
  /// For a stream that could do with the segments that it has.
  var isToGrow: Bool
}

struct LeaseWaiter {
  var token: UInt64
  var request: UInt64
  var isOwn: Bool
  /// When its loan gives up, if somebody says that there is nothing to be had: the node, or that there is none by then.
  var deadline: UInt64?
  var continuation: CheckedContinuation<Void, any Error>

  func isOverdue(at now: UInt64) -> Bool { deadline.map { $0 <= now } ?? false }
}

extension PublisherCore {
  func leaseGranted(_ granted: LeaseGranted, descriptor: consuming OwnedDescriptor?) {
    let segment: LeasedSegment
    let (held, lane) = state.withLock { state in
      let held = state.held[granted.segment.id]
      // What was not given back can't come again: loans of it may be out.
      return (held?.isSealed == true ? held : nil, state.requests[granted.request]?.lane ?? .small)
    }
    if granted.warm, let held {
      segment = held
    } else {
      do {
        guard let descriptor else {
          throw MemoryError.unsuitable(subject: "\(granted.segment)", problem: "came without its memory")
        }
        segment = try LeasedSegment(granted, mapping: descriptor, of: self, lane: lane, node: node)
      } catch {
        // Given back unused; the memory is the node's to take.
        node.send(.sealSegment(granted.segment))
        node.send(.segmentUnmapped(granted.segment.id, by: nil))
        return leaseRefused(granted.request, .outOfMemory("\(error)"))
      }
    }
    let waiting = state.withLock { state in
      // What is held, others look at meanwhile.
      if granted.warm { segment.begin(epoch: granted.segment.epoch, after: state.nextSequence &- 1) }
      node.send(.segmentReady(granted.segment))
      state.isShort = granted.isShort
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
    let now = Clock.monotonicNanoseconds
    let (refused, waiting) = state.withLock { state in
      let refused = state.requests.removeValue(forKey: request)
      if let refused, refused.isToGrow { state[refused.lane].sizing.shrink(now: now, limit: limit) }
      return (refused, state.takeWaiting())
    }
    // One that was ahead of need may have been for more, and one that its loan has cancelled says nothing of memory.
    let isForAll = if case .poolExhausted = error { refused?.isAhead == false } else { false }
    for waiter in waiting {
      if waiter.request == request && (waiter.isOwn || isForAll && waiter.isOverdue(at: now)) {
        waiter.continuation.resume(throwing: error)
      } else {
        // Somebody else's wish, or a lease ahead, was refused: ask for one's own.
        waiter.continuation.resume()
      }
    }
  }

  /// The node has taken the segment back: the mapping that was kept warm goes.
  func forget(_ id: SegmentID) {
    let gone: LeasedSegment? = state.withLock { state in
      guard let segment = state.held[id], segment.isSealed else { return nil }
      state.listeners.forget(id)
      return state.held.removeValue(forKey: id)
    }
    // Unmapped here, outside the lock.
    _ = consume gone
  }

  // MARK: - Waiting

  /// - Parameter deadline: the loan's, see ``deadline``. A lease that it asks for anew, when another's that it had waited
  ///   for is refused, the node gives all the time again: a loan takes less than twice its time.
  func awaitLease(_ request: UInt64, isOwn: Bool, until deadline: UInt64?) async throws {
    let token = node.nextRequest()
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
}

extension PublisherCore.State {
  mutating func takeWaiting() -> [LeaseWaiter] {
    defer { waiting = [] }
    return waiting
  }

  mutating func takeWaiting(_ token: UInt64) -> LeaseWaiter? {
    waiting.firstIndex { $0.token == token }.map { waiting.remove(at: $0) }
  }
}
