import BusProtocol
import Vocabulary

extension Samples {
  mutating func snapshot(rowCount: Int) -> Snapshot {
    var snapshot = Snapshot(pool: poolRow())
    for _ in 0..<rowCount {
      snapshot.users.append(userRow())
      snapshot.clients.append(clientRow())
      snapshot.topics.append(topicRow())
      snapshot.streams.append(streamRow())
      snapshot.subscriptions.append(subscriptionRow())
      for state in SegmentState.allCases { snapshot.segments.append(segmentRow(state)) }
      for reason in HolderRow.Reason.allCases { snapshot.holders.append(holderRow(reason)) }
    }
    return snapshot
  }

  mutating func processID() -> Int32 { Int32(uint64(to: UInt64(Int32.max))) }

  mutating func poolRow() -> PoolRow {
    PoolRow(
      contribution: uint64(), free: uint64(), leased: uint64(), sealed: uint64(), retained: uint64(), warm: uint64(),
      pinned: uint64(), segmentsLeased: uint64(), segmentsRecycled: uint64(), segmentsReclaimed: uint64(),
      messagesLagged: uint64(), hugePages: text(), waitingLeases: uint64(), nodeProcessID: processID(),
      uptimeNanoseconds: uint64())
  }

  mutating func userRow() -> UserRow {
    UserRow(
      userID: uint32(), clients: uint64(), clientQuota: quota(), subscriptions: uint64(), subscriptionQuota: quota(),
      segments: uint64(), segmentQuota: quota(), bytes: uint64(), byteQuota: quota())
  }

  /// What has every bit set is none.
  private mutating func quota() -> UInt64? { maybe(uint64(to: .max - 1)) }

  mutating func clientRow() -> ClientRow {
    ClientRow(
      client: id(), name: name(), processID: processID(), userID: uint32(), joinedNanosecondsAgo: uint64())
  }

  mutating func topicRow() -> TopicRow {
    TopicRow(
      topic: topic(), publishers: uint64(), subscriptions: uint64(), segments: uint64(), bytes: uint64(),
      quota: uint64(), retention: retention())
  }

  mutating func streamRow() -> StreamRow {
    StreamRow(
      stream: id(), client: maybe(id()), topic: topic(), handleEndpoint: text(), lastSequence: uint64(),
      segments: uint64(), bytes: uint64(), openedNanosecondsAgo: uint64())
  }

  mutating func subscriptionRow() -> SubscriptionRow {
    SubscriptionRow(
      subscription: id(), client: id(), pattern: pattern(), observes: bool(), backlogMessages: uint64(),
      backlogBytes: uint64(), backlogSegments: uint64(), laggedMessages: uint64(), joinedNanosecondsAgo: uint64())
  }

  mutating func segmentRow(_ state: SegmentState) -> SegmentRow {
    let segment = segment()
    return SegmentRow(
      segment: segment.id, epoch: segment.epoch, state: state, capacity: capacity(), stream: id(), topic: topic(),
      messages: uint64(), leasedNanosecondsAgo: uint64(), stateNanosecondsAgo: uint64())
  }

  mutating func holderRow(_ reason: HolderRow.Reason) -> HolderRow {
    HolderRow(
      segment: id(), client: maybe(id()), subscription: maybe(id()), reason: reason, sinceNanosecondsAgo: uint64(),
      remainingNanoseconds: uint64())
  }
}
