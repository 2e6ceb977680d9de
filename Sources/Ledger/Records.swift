import Vocabulary

/// What a segment's log was when its life ended.
public struct LogEnd: Sendable {
  /// Which life that was: the one that was leased, or a later one.
  public var epoch: UInt32
  /// How many messages it holds.
  public var slots: UInt32
  /// Who has acknowledged it already.
  public var acknowledged: Set<SubscriptionID>

  public init(epoch: UInt32, slots: UInt32, acknowledged: Set<SubscriptionID> = []) {
    self.epoch = epoch
    self.slots = slots
    self.acknowledged = acknowledged
  }
}

/// A segment, in one of its lives. As long as it is leased its publisher may be lives ahead: it renews a segment by itself
/// when all who were promised it have acknowledged it, and the promises stand.
struct SegmentRecord: Sendable {
  let id: SegmentID
  var epoch: UInt32 = 1
  let capacity: UInt64
  let stream: StreamID
  let topic: TopicName
  var state = SegmentState.leased
  /// Its publisher has mapped it: it may be handed.
  var isReady = false
  /// How many messages it holds; known once it is sealed.
  var slots: UInt32 = 0
  /// Subscriptions that must release it, and since when.
  var promises: [SubscriptionID: UInt64] = [:]
  /// Those of them that have it.
  var handed: Set<SubscriptionID> = []
  var mappings: [Holder: UInt64] = [:]
  /// Taken from somebody who may still read it: its memory must not be written again.
  var isForced = false
  /// It is of the node before: who may read it is not known for sure, so its memory is not written anew.
  var isAdopted = false
  /// It was adopted, and its publisher has not offered it.
  var isForeign = false
  /// How many messages it holds, by the word of its publisher that is returning: it is completed when that is back.
  var sealedSlots: UInt32?
  /// It was taken for this lease, in exchange.
  var tradedFor: UInt64?
  var leasedAt: UInt64
  var completedAt: UInt64 = 0
  /// Its lease and its completion among all leases and completions, counted.
  var lease: UInt64
  var completion: UInt64?
  var stateSince: UInt64

  var identity: SegmentIdentity { SegmentIdentity(id: id, epoch: epoch) }

  /// Whether the subscription may read it: it was handed, or is mapped from an earlier life, so that what its publisher
  /// writes is found there before it is handed.
  func mayBeRead(by subscription: SubscriptionID) -> Bool {
    handed.contains(subscription) || mappings[.subscription(subscription)] != nil
  }
}

struct StreamRecord: Sendable {
  let id: StreamID
  var client: ClientID
  var user: UserID
  let topic: TopicName
  var whenFull: FullPolicy
  /// Of one that is awaited, 0: its publisher knows.
  var opened: UInt64
  var isClosed = false
  /// Of the node before, and not back yet.
  var absence: Absence?
  /// When it was back.
  var returned: UInt64?
  /// All of its segments, in the order of their leases; a recycled one comes last again.
  var segments: [SegmentID] = []
  /// Those of them that are warm, least recently used first.
  var warm: [SegmentID] = []
  /// The subscriptions that match, as far as one knows; each lists the stream, too.
  var subscriptions: Set<SubscriptionID> = []
}

struct SubscriptionRecord: Sendable {
  let id: SubscriptionID
  var client: ClientID
  var pattern: TopicPattern
  /// What it may read of that.
  var readable: TopicFilter
  var observes: Bool
  var wantsRetained: Bool
  var limit: BacklogLimit
  var joined: UInt64
  /// It was closed, but still has mappings.
  var hasLeft = false
  /// Of the node before, and not back yet.
  var absence: Absence?
  /// It is of the node before.
  var hasReturned = false
  /// The streams that match, as far as one knows.
  var streams: Set<StreamID> = []
  /// Where it stood in the streams that it knew when it returned.
  var positions: [StreamID: UInt64] = [:]
  /// What it was promised and not yet handed, by stream, in the order of the leases.
  var waiting: [StreamID: [SegmentID]] = [:]
  /// The segments of each stream that it was handed and has not come to the end of, as far as one knows.
  var unread: [StreamID: [SegmentID]] = [:]
  /// The bytes of these.
  var unreadBytes: UInt64 = 0
  /// Those of them that were taken from it, and that it has not said a word of since.
  var taken: Set<SegmentID> = []
  /// Segments that it has read to the end, but still borrows from.
  var passed: Set<SegmentID> = []
  /// The sealed segments that it has not released, oldest first.
  var backlog: [SegmentID] = []
  var backlogMessages: UInt64 = 0
  var backlogBytes: UInt64 = 0
  /// Streams that have ended for it.
  var ended: Set<StreamID> = []
  /// Those of the node before that are forgotten since: others may return with some of it.
  var past: Set<StreamID> = []
  var mappings: Set<SegmentID> = []

  func matches(_ topic: TopicName) -> Bool { pattern.matches(topic) && readable.allows(topic) }
}

struct TopicRecord: Sendable {
  let name: TopicName
  let quota: UInt64
  var streams: Set<StreamID> = []
  var retention = Retention.none
  /// Bytes of all of its segments.
  var bytes: UInt64 = 0
  /// As many were adopted, whatever the quota.
  var adoptedCeiling: UInt64 = 0
  /// Its sealed and retained segments, oldest first.
  var sealed: [SegmentID] = []
}

/// A lease that has to wait for memory.
struct WaitingLease: Sendable {
  let id: UInt64
  let stream: StreamID
  let topic: TopicName
  var capacity: UInt64
  /// What will do while memory is short.
  let minimum: UInt64
  /// It is not needed yet.
  let isAhead: Bool
  let policy: FullPolicy
  /// When it is given up; nil for never.
  let deadline: UInt64?
  /// What it waits for by its last turn; nil before that.
  var bound: Room.Bound?
  /// Publishers were asked for what they have leased of this.
  var asked: Room.Bound?
  var trade = Trade()
}
