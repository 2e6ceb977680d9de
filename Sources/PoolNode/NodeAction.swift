import BusProtocol
import Vocabulary

/// What ``NodeCore`` wants done, in this order.
enum NodeAction: Equatable {
  case send(NodeMessage, to: ClientID, attaching: Attachment? = nil)
  /// Makes the memfd and backs it with pages; then ``NodeCore/segmentCreated(_:contents:now:)`` or
  /// ``NodeCore/segmentCreationFailed(_:contents:now:)``.
  case create(SegmentID, of: SegmentOrigin, capacity: UInt64)
  /// The publisher has its mapping: nobody else shall ever write.
  case sealAgainstFurtherWriters(SegmentID)
  case destroy(SegmentID)
  /// Keeps the descriptor that came with the message at hand, if one did: it is the subscription's wake page.
  case keepWakePage(SubscriptionID)
  case dropWakePage(SubscriptionID)
  /// The client has left, and maps nothing: its process need not be watched any more.
  case forgetClient(ClientID)
  /// Looks at the memory that came with the message at hand; then
  /// ``NodeCore/offerExamined(_:of:from:_:contents:now:)``.
  ///
  /// - `of`: the topic that its stream is of, by the client's word.
  /// - `overrules`: it counts, rather than what others have offered as this segment.
  case examine(OfferSegment, of: TopicName, from: ClientID, overrules: Bool)
  /// The client broke the protocol; it is told why in a last message before this.
  case disconnect(ClientID, reason: String)
}

/// The descriptor that goes with a message.
enum Attachment: Equatable {
  case writable(SegmentID)
  case readOnly(SegmentID)
  /// If the subscription has one.
  case wakePage(SubscriptionID)
}

/// What the node may look up in segments to decide; the store's answer is checked like anything a publisher wrote.
protocol SegmentContents {
  /// The life that a leased segment is in by its publisher's word: the one on the books, or a later one.
  func currentLife(of segment: SegmentIdentity) -> SegmentIdentity
  /// Says in the segment how many subscriptions have joined its stream, before one looks at what it holds.
  func noteJoins(_ count: UInt64, in segment: SegmentID)
  /// Says in the segment that its stream is closed, before one looks at what it holds for the last time.
  func noteClosed(_ segment: SegmentID)
  /// Whether the subscription says at this place of its wake page that it has read this life.
  func hasAcknowledged(_ segment: SegmentIdentity, by subscription: SubscriptionID, at place: UInt32) -> Bool
  /// Committed slots; 0 if the segment is not in this epoch (yet).
  func committed(in segment: SegmentIdentity) -> UInt32
  /// The sequence in the first committed slot, or nil if there is none or it is corrupt.
  func firstSequence(in segment: SegmentIdentity) -> UInt64?
  /// The sequence in the last committed slot, or that before this life began; nil if there is none or it is corrupt.
  func lastSequence(in segment: SegmentIdentity) -> UInt64?
  /// The first message that was published at this time of the node's clock or later; nil if none was, or it can't be read.
  func firstSequence(in segment: SegmentIdentity, publishedSince time: UInt64) -> UInt64?
  /// When the last message was published, by the node's clock; nil if there is none or it is corrupt.
  func lastPublished(in segment: SegmentIdentity) -> UInt64?
  /// The sequences of all committed slots, as far as they can be read.
  func sequences(in segment: SegmentIdentity) -> [ClosedRange<UInt64>]
}
