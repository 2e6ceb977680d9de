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
    /// What is mapped of streams that are over is let go with this.
    var dropped: [HeldSegment]
  }

  /// The node is gone: who has publishers that come back with the next one is not known yet.
  func nodeIsGone() {
    state.withLock { state in
      for cursor in state.cursors where !cursor.hasEnded { state.unheardOf.insert(cursor.stream) }
    }
  }

  func rejoinState() -> RejoinState {
    state.withLock { state in
      let subscription = RejoinSubscription(
        subscription: id, pattern: pattern, observes: observer != nil, wantsRetained: options.receivesRetained,
        backlog: options.backlogLimit, joined: joined)
      var cursors: [StreamID: RejoinCursor] = [:]
      var offers: [SegmentID: SegmentOffer] = [:]
      // First of all: what is let go of from here on, the next node must hear.
      for held in state.held.values { held.releaseByMessage() }
      doze?.forgetAcknowledgements()
      func offer(_ held: HeldSegment, _ epoch: UInt32, _ progress: ReadingProgress) {
        guard let descriptor = held.mapping.descriptor else { return }
        offers[held.id] = SegmentOffer(
          message: OfferSegment(
            segment: SegmentIdentity(id: held.id, epoch: epoch), capacity: UInt64(held.mapping.capacity),
            stream: held.stream, use: .reading(id, progress)),
          descriptor: descriptor, owner: held)
      }
      for cursor in state.cursors + state.departed.all {
        cursors[cursor.stream] = RejoinCursor(
          subscription: id, stream: cursor.stream, topic: cursor.topic, nextSequence: cursor.expected)
      }
      // Read to their ends, but borrowed still.
      for held in state.held.values {
        guard let (epoch, topic) = held.lastBorrowed else { continue }
        if cursors[held.stream] == nil {
          cursors[held.stream] = RejoinCursor(
            subscription: id, stream: held.stream, topic: topic, nextSequence: .max)
        }
        offer(held, epoch, .passed)
      }
      for index in state.cursors.indices {
        for open in state.cursors[index].segments {
          if let segment = open.segment { offer(open.held, segment.reader.identity.epoch, .unread) }
        }
      }
      // What is only mapped may hold later messages by now, of which the node before had no time to tell.
      for held in state.held.values where offers[held.id] == nil && cursors[held.stream] != nil {
        offer(held, held.releasedEpoch, .released)
      }
      let dropped = state.held.filter { offers[$0.key] == nil }
      for id in dropped.keys { state.held[id] = nil }
      return RejoinState(
        subscription: subscription, wakePage: wakePage, cursors: Array(cursors.values), offers: Array(offers.values),
        dropped: Array(dropped.values))
    }
  }
}
