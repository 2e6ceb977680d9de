import BusProtocol
import PooledMemory
import Vocabulary

extension SubscriptionCore {
  /// What a new node is told of a subscription.
  struct RejoinState: Sendable {
    var subscription: RejoinSubscription
    var wakePage: CInt?
    var cursors: [RejoinCursor]
    var offers: [SegmentOffer]
    /// What was only mapped is let go with this: the next node writes no adopted memory anew, and so hands none warm.
    var dropped: [HeldSegment]
  }

  /// The node is gone: who has publishers that come back with the next one is not known yet.
  func nodeIsGone() {
    state.withLock { state in
      for cursor in state.cursors where !cursor.hasEnded { state.unheardOf.insert(cursor.stream) }
    }
  }

  func rejoinState(options: SubscriberOptions) -> RejoinState {
    state.withLock { state in
      let subscription = RejoinSubscription(
        subscription: id, pattern: pattern, observes: observer != nil, wantsRetained: options.receivesRetained,
        backlog: options.backlogLimit)
      var cursors: [StreamID: RejoinCursor] = [:]
      var offers: [SegmentID: SegmentOffer] = [:]
      // First of all: what is let go of from here on, the next node must hear.
      for held in state.held.values { held.releaseByMessage() }
      func offer(_ segment: BorrowedSegment, _ progress: OfferSegment.Progress) {
        let mapping = segment.reader.mapping
        guard let descriptor = mapping.descriptor else { return }
        offers[mapping.id] = SegmentOffer(
          message: OfferSegment(
            segment: segment.reader.identity, capacity: UInt64(mapping.capacity), stream: segment.stream,
            use: .reading(id, progress)),
          descriptor: descriptor, owner: segment)
      }
      for cursor in state.cursors {
        cursors[cursor.stream] = RejoinCursor(
          subscription: id, stream: cursor.stream, topic: cursor.topic, nextSequence: cursor.expected)
      }
      // Read to their ends, but borrowed still.
      for held in state.held.values {
        guard let segment = held.lastBorrowed else { continue }
        if cursors[segment.stream] == nil {
          cursors[segment.stream] = RejoinCursor(
            subscription: id, stream: segment.stream, topic: segment.topic, nextSequence: .max)
        }
        offer(segment, .passed)
      }
      for index in state.cursors.indices {
        // What rests is not renewed any more: its publisher gives it to the next node.
        state.cursors[index].dropResting()
        for open in state.cursors[index].segments {
          if let segment = open.segment { offer(segment, .unread) }
        }
      }
      let dropped = state.held.filter { offers[$0.key] == nil }
      for id in dropped.keys { state.held[id] = nil }
      return RejoinState(
        subscription: subscription, wakePage: wakePage, cursors: Array(cursors.values), offers: Array(offers.values),
        dropped: Array(dropped.values))
    }
  }
}
