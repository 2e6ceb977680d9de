import BusProtocol
import Platform
import PooledMemory
import Vocabulary

// Segments come from the node, or are refused, or are taken back; and loans wait for them.

struct LeaseRequest {
  var lane: Lane.Kind
  var capacity: Int
  /// For a stream that could do with the segments that it has.
  var isToGrow: Bool
}

struct LeaseWaiter {
  var token: UInt64
  var request: UInt64
  var isOwn: Bool
  /// When it gives up if there is no node by then; with one, the node tells.
  var deadline: UInt64?
  var continuation: CheckedContinuation<Void, any Error>
}

extension PublisherCore {
  func leaseGranted(_ granted: LeaseGranted, descriptor: consuming OwnedDescriptor?) {
    let segment: LeasedSegment
    let (held, lane) = state.withLock { state in
      (state.held[granted.segment.id], state.requests[granted.request]?.lane ?? .small)
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
    let waiting = state.withLock { state in
      if let refused = state.requests.removeValue(forKey: request), refused.isToGrow {
        state[refused.lane].sizing.shrink(now: Clock.monotonicNanoseconds, limit: limit)
      }
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
