import BusProtocol
import PooledMemory
import Synchronization
import Vocabulary

/// A segment that a subscription has mapped, through all of its lives; and how it says that it has read one.
///
/// As long as the segment is its publisher's to write, the subscription says so in its wake page, where the publisher
/// looks before it begins the next life: that costs no message. Once the node has sealed a life, the node waits for it,
/// and is told by message.
final class HeldSegment: Sendable {
  let mapping: ReadMapping
  let stream: StreamID
  private let place: UInt32
  private let generation: UInt32
  private let subscription: SubscriptionID
  private let doze: Doze?
  private let node: NodeConnection?
  /// The life that the node waits for; 0 for none.
  private let awaited = Atomic<UInt32>(0)
  private let isByMessage = Atomic<Bool>(false)
  private let passed = Atomic<UInt32>(0)
  private let released = Atomic<UInt32>(0)
  private let borrowed = Mutex(Borrowed())

  // Not a weak reference to the borrowed life: that would make each retain of it, and so each message, take the slow way.
  private struct Borrowed {
    var count = 0
    var last: (epoch: UInt32, topic: TopicName)?
  }

  /// - Parameters:
  ///   - place: where in the wake page; 0 for nowhere.
  ///   - node: nil in tests that have none.
  init(
    mapping: ReadMapping, stream: StreamID, place: UInt32, subscription: SubscriptionID, doze: Doze?,
    node: NodeConnection?
  ) {
    self.mapping = mapping
    self.stream = stream
    self.place = doze == nil ? 0 : place
    generation = doze?.generation ?? 0
    self.subscription = subscription
    self.doze = doze
    self.node = node
  }

  var id: SegmentID { mapping.id }

  /// The last life that was released; the first if none was.
  var releasedEpoch: UInt32 { max(released.load(ordering: .sequentiallyConsistent), 1) }

  /// The life that is read, or was read last, as long as somebody borrows from here.
  var lastBorrowed: (epoch: UInt32, topic: TopicName)? { borrowed.withLock { $0.count > 0 ? $0.last : nil } }

  /// A life begins to be borrowed; ``release(_:)`` is its end.
  func borrow(_ epoch: UInt32, topic: TopicName) {
    borrowed.withLock { borrowed in
      borrowed.count += 1
      borrowed.last = (epoch, topic)
    }
  }

  /// Whether its publisher may renew it at all: elsewhere it could not see who has read it, and the node hands each life.
  var isFollowed: Bool { place > 0 }

  /// Another node has it now, and its publisher does not renew it any more: from now on releases are said by message.
  func releaseByMessage() { isByMessage.store(true, ordering: .sequentiallyConsistent) }

  /// Whether its publisher may begin a next life of it as soon as this one is acknowledged.
  func isRenewable(in epoch: UInt32) -> Bool {
    isFollowed && awaited.load(ordering: .relaxed) < epoch && !isByMessage.load(ordering: .relaxed)
  }

  // Both sides of the two below write, and then look at what the other wrote, in one order that all agree on: so one of
  // them at least sees both, and tells the node. Telling it twice does no harm.

  /// The node has sealed this life, and waits for it to be released.
  func sealed(_ epoch: UInt32) {
    awaited.store(epoch, ordering: .sequentiallyConsistent)
    if released.load(ordering: .sequentiallyConsistent) >= epoch {
      node?.send(.releaseSegment(identity(epoch), by: subscription))
    } else if passed.load(ordering: .sequentiallyConsistent) >= epoch {
      node?.send(.segmentPassed(identity(epoch), by: subscription))
    }
  }

  /// This life is read to its end: to be said if it is borrowed still.
  func passIfBorrowed(_ epoch: UInt32) {
    // Who lets go of it meanwhile says more; the node takes no notice of what comes behind that.
    if lastBorrowed?.epoch == epoch { pass(epoch) }
  }

  /// This life is read to its end, but borrowed still.
  func pass(_ epoch: UInt32) {
    passed.store(epoch, ordering: .sequentiallyConsistent)
    if isAwaited(epoch) { node?.send(.segmentPassed(identity(epoch), by: subscription)) }
  }

  /// Nobody reads this life any more.
  func release(_ epoch: UInt32) {
    // First of all: who offers to a new node what is borrowed takes what is said below for said later.
    borrowed.withLock { $0.count -= 1 }
    doze?.acknowledge(identity(epoch), at: place, in: generation)
    released.store(epoch, ordering: .sequentiallyConsistent)
    if isAwaited(epoch) { node?.send(.releaseSegment(identity(epoch), by: subscription)) }
  }

  /// The node speaks of a life that it may not know to be released: told again, if it is. What is borrowed is released
  /// when it is dropped, and not before.
  func repeatRelease(of epoch: UInt32) {
    guard released.load(ordering: .sequentiallyConsistent) >= epoch, isAwaited(epoch) else { return }
    node?.send(.releaseSegment(identity(epoch), by: subscription))
  }

  /// Says of a life that its publisher has left behind that nobody will read it. The wake page goes on speaking of the
  /// life that is read.
  func disclaim(_ epoch: UInt32) { node?.send(.releaseSegment(identity(epoch), by: subscription)) }

  private func isAwaited(_ epoch: UInt32) -> Bool {
    !isFollowed || awaited.load(ordering: .sequentiallyConsistent) == epoch
      || isByMessage.load(ordering: .sequentiallyConsistent)
  }

  private func identity(_ epoch: UInt32) -> SegmentIdentity { SegmentIdentity(id: id, epoch: epoch) }
}
