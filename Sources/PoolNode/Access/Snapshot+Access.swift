import BusProtocol
import Vocabulary

extension Snapshot {
  /// Only what concerns the topics of a filter: these, what lies there, who holds that, and the asker's own.
  ///
  /// The pool's sums stay whole: they are how one sees that it is full.
  mutating func restrict(to filter: TopicFilter, for client: ClientID) {
    topics.removeAll { !filter.allows($0.topic) }
    streams.removeAll { $0.client != client && !filter.allows($0.topic) }
    segments.removeAll { !filter.allows($0.topic) }
    let visible = Set(segments.map(\.segment))
    holders.removeAll { !visible.contains($0.segment) }

    let holding = Set(holders.compactMap(\.subscription))
    subscriptions.removeAll { subscription in
      subscription.client != client && !holding.contains(subscription.subscription)
        && !filter.mayAllow(subscription.pattern)
    }
    let concerned = Set(
      holders.compactMap(\.client) + streams.compactMap(\.client) + subscriptions.map(\.client) + [client])
    clients.removeAll { !concerned.contains($0.client) }
    let theirs = Set(clients.map(\.userID))
    users.removeAll { !theirs.contains($0.userID) }
  }
}
