import BusProtocol
import PooledMemory
import Vocabulary

/// Who listens to a publisher: whether anybody needs a handle now, and whether all have read a segment.
struct Listeners {
  private struct Listener {
    let subscription: SubscriptionID
    let page: WakePageView
    /// Where its page speaks of a segment.
    var places: [SegmentID: UInt32] = [:]
  }

  private var listeners: [Listener] = []
  /// Those without a wake page: clients that know none. They release by message.
  private var silent: Set<SubscriptionID> = []
  /// Those that want every handle and hold nothing.
  private var observers: Set<SubscriptionID> = []
  /// How many subscriptions that hold something have joined so far, as the node counts.
  private var joins: UInt64 = 0

  var subscriptions: [SubscriptionID] { listeners.map(\.subscription) + silent.sorted() }

  /// Another node counts from the start.
  mutating func countAnew() { joins = 0 }

  mutating func add(_ joined: SubscriberJoined, _ page: WakePageView?) {
    remove(joined.subscription)
    joins = max(joins, joined.joins)
    if joined.observes {
      observers.insert(joined.subscription)
    } else if let page {
      listeners.append(Listener(subscription: joined.subscription, page: page))
    } else {
      silent.insert(joined.subscription)
    }
  }

  mutating func remove(_ subscription: SubscriptionID) {
    listeners.removeAll { $0.subscription == subscription }
    silent.remove(subscription)
    observers.remove(subscription)
  }

  /// The subscription will say at this place of its page that it has read the segment.
  mutating func promise(_ segment: SegmentID, to subscription: SubscriptionID, place: UInt32) {
    guard let index = listeners.firstIndex(where: { $0.subscription == subscription }) else { return }
    listeners[index].places[segment] = place
  }

  mutating func forget(_ segment: SegmentID) {
    for index in listeners.indices { listeners[index].places[segment] = nil }
  }

  /// Whether nobody needs what a segment that is at rest holds: all who were promised it have read it, and whoever joined
  /// before it came to rest is known here.
  func haveRead(_ segment: LeasedSegment) -> Bool {
    guard silent.isEmpty, joins >= segment.joins else { return false }
    let life = segment.log.identity
    return listeners.allSatisfy { listener in
      listener.places[life.id].map { listener.page.hasAcknowledged(life, at: $0) } ?? false
    }
  }

  /// Whether the message that was just committed needs a handle: not if all who listen are awake, and will see it.
  ///
  /// Call ``WakePage/fence()`` between the commit and this.
  func mustBeRung() -> Bool {
    if !observers.isEmpty || !silent.isEmpty { return true }
    if listeners.isEmpty { return false }
    // Not `contains(where:)`: unspecialized, as in a debug build, that allocates, and this is done per message.
    let listeners = listeners.span
    var index = 0
    while index < listeners.count {
      if !listeners[index].page.isAwake { return true }
      index += 1
    }
    return false
  }
}
