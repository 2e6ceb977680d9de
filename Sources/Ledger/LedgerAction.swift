import Vocabulary

/// Who has a segment mapped.
public enum Holder: Hashable, Comparable, Sendable {
  case publisher(StreamID)
  case subscription(SubscriptionID)
}

/// What the node is to do, in the order given.
public enum LedgerAction: Equatable, Sendable {
  /// The stream matches the subscription: tell it, before anything of the stream is handed to it.
  case introduce(StreamID, to: SubscriptionID)
  /// Make a memfd of this size, back it with pages, and grant it to the publisher, at epoch 1.
  case create(SegmentID, capacity: UInt64, lease: UInt64, stream: StreamID)
  /// Grant a segment that the publisher has mapped already, at this new epoch.
  case regrant(SegmentIdentity, lease: UInt64, stream: StreamID)
  case refuse(lease: UInt64, LeaseRefusal)
  /// Hand the segment to the subscription; `warm`: it has it mapped from an earlier epoch.
  case hand(SegmentIdentity, to: SubscriptionID, stream: StreamID, warm: Bool)
  /// This life is over, and its release awaited. Only for segments that were handed.
  case tellSealed(SegmentIdentity, to: SubscriptionID, stream: StreamID, slots: UInt32)
  /// Ask the publisher to seal what it has leased.
  case askBack(StreamID)
  /// Ask the holder to unmap the segment as soon as nothing is borrowed, and to say so.
  case forget(SegmentID, Holder)
  /// A policy took the segment from the subscription before it was read.
  case lag(SegmentIdentity, of: SubscriptionID, stream: StreamID)
  /// Nobody maps it: close the memfd.
  case destroy(SegmentID)
  /// No further segment of the stream will be handed to the subscription.
  case endStream(StreamID, SubscriptionID)
}

/// Why a lease can't be had.
public enum LeaseRefusal: Equatable, Sendable {
  /// More than the pool, or the quota of the topic or the user, can ever hold.
  case tooLarge(limit: UInt64)
  case poolExhausted(ExhaustedReport)
  /// The machine has no memory for it, though the pool has room.
  case outOfMemory
  /// Its publisher gave it up.
  case cancelled
  /// The books do not sum: nothing is leased any more.
  case outOfBalance
}

/// What was short, and who holds it.
public struct ExhaustedReport: Equatable, Sendable {
  public struct Share: Equatable, Sendable {
    public var topic: TopicName
    public var stream: StreamID
    public var bytes: UInt64
    /// Who has not released it, most bytes first.
    public var awaited: [SubscriptionID]
    /// Since when the oldest of it is held.
    public var since: UInt64
  }

  /// What is used up.
  public enum Limit: Equatable, Sendable {
    case pool(bytes: UInt64)
    /// The quota of a topic.
    case topic(TopicName, bytes: UInt64)
    /// The quota of a user's publishers.
    case user(UserID, bytes: UInt64)
    case segments(of: UserID, count: UInt64)
  }

  public var asked: UInt64
  public var limit: Limit
  /// The largest shares.
  public var shares: [Share]
}
