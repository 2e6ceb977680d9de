import BusProtocol
import PooledMemory
import Vocabulary

/// Who listens to a publisher: whether anybody needs a handle now, and whether all have read a segment.
struct Listeners {
  private struct Listener {
    let subscription: SubscriptionID
    let page: WakePageView
    /// Where its client is rung; empty if nowhere.
    let bell: String
    /// The last sleep for which it was rung, and when: nanoseconds since 1970.
    var rung: (sleep: UInt64, time: UInt64) = (0, 0)
    /// Where its page speaks of a segment.
    var places: [SegmentID: UInt32] = [:]

    func hasRead(_ life: SegmentIdentity) -> Bool {
      places[life.id].map { page.hasAcknowledged(life, at: $0) } ?? false
    }

    /// Whether it sleeps and needs a handle, of which it takes note. One handle ends a sleep: until its subscription has
    /// got it and looked around, others would tell it nothing.
    @inline(__always)
    mutating func mustBeRung(now: UInt64) -> Bool {
      guard let sleep = page.sleep else { return false }
      guard sleep == 0 || sleep != rung.sleep || now &- rung.time > Listeners.ringsAgainAfter else { return false }
      rung = (sleep, now)
      return true
    }
  }

  /// A handle may be lost, so a sleep that lasts is rung again. Nanoseconds.
  static let ringsAgainAfter: UInt64 = 1_000_000

  private var listeners: [Listener] = []
  /// Those without a wake page: clients that know none. They release by message.
  private var silent: Set<SubscriptionID> = []
  /// Those that want every handle and hold nothing.
  private var observers: Set<SubscriptionID> = []
  /// How many subscriptions that hold something have joined so far, as the node counts.
  private var joins: UInt64 = 0

  /// How many subscriptions there are that publishers are told of as they read.
  var readerCount: Int { listeners.count }

  var subscriptions: [SubscriptionID] { listeners.map(\.subscription) + silent.sorted() }

  /// Another node counts from the start.
  mutating func countAnew() { joins = 0 }

  mutating func add(_ joined: SubscriberJoined, _ page: WakePageView?) {
    remove(joined.subscription)
    joins = max(joins, joined.joins)
    if joined.observes {
      observers.insert(joined.subscription)
    } else if let page {
      listeners.append(Listener(subscription: joined.subscription, page: page, bell: joined.bell))
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
    // As a span, as none need be copied to be asked.
    let listeners = listeners.span
    for index in listeners.indices where !listeners[index].hasRead(life) { return false }
    return true
  }

  /// Whether the subscription has read this life of a segment, and let go of it.
  func hasRead(_ life: SegmentIdentity, _ subscription: SubscriptionID) -> Bool {
    guard !observers.contains(subscription) else { return true }
    return listeners.contains { $0.subscription == subscription && $0.hasRead(life) }
  }

  /// Whether the message that was just committed needs a handle: not if all who listen are awake, and will see it, or are
  /// about to be. Takes note of those that are rung with it.
  ///
  /// Call ``WakePage/fence()`` between the commit and this.
  ///
  /// - Parameter now: nanoseconds since 1970.
  mutating func mustBeRung(now: UInt64) -> Bool {
    var mustRing = callsAll
    // Neither `contains(where:)`, which allocates as long as it is not specialized, as in a debug build; nor the array
    // itself, which would copy each to look at it.
    var listeners = listeners.mutableSpan
    for index in listeners.indices where listeners[index].mustBeRung(now: now) { mustRing = true }
    return mustRing
  }

  /// Whom ``mustBeRung(now:)`` has found at that time.
  @inline(never)
  func calls(at now: UInt64) -> Calls {
    var calls = Calls()
    if callsAll { calls.callAll() }
    let listeners = listeners.span
    for index in listeners.indices where listeners[index].rung.time == now { calls.call(listeners[index].bell) }
    return calls
  }

  private var callsAll: Bool { !observers.isEmpty || !silent.isEmpty }
}
