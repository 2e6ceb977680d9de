import PooledMemory
import Vocabulary

/// Who listens to a publisher's handles, and whether anybody needs one now.
struct Listeners {
  private var pages: [(subscription: SubscriptionID, page: WakePageView)] = []
  /// Those without a wake page: observers, and clients that know none.
  private var others: Set<SubscriptionID> = []

  mutating func add(_ subscription: SubscriptionID, _ page: WakePageView?) {
    remove(subscription)
    if let page { pages.append((subscription, page)) } else { others.insert(subscription) }
  }

  mutating func remove(_ subscription: SubscriptionID) {
    pages.removeAll { $0.subscription == subscription }
    others.remove(subscription)
  }

  var subscriptions: [SubscriptionID] { pages.map(\.subscription) + others }

  /// Whether the message that was just committed needs a handle: not if all who listen are awake, and will see it.
  func mustBeRung() -> Bool {
    if !others.isEmpty { return true }
    if pages.isEmpty { return false }
    WakePage.fence()
    // Not `contains(where:)`: unspecialized, as in a debug build, that allocates, and this is done per message.
    var index = 0
    while index < pages.count {
      if !pages[index].page.isAwake { return true }
      index += 1
    }
    return false
  }
}
