import Vocabulary

// What must be true after every event. The node checks the first line always; tests check all.

extension Ledger {
  /// Whether the states sum to the contribution. Costs nothing: call it after every event.
  public var isConserved: Bool { usage.total == contribution &+ beyond }

  /// Everything about the books that does not add up; empty if they are in order.
  public func violations() -> [String] {
    var found: [String] = []
    func check(_ holds: Bool, _ what: @autoclosure () -> String) {
      if !holds { found.append(what()) }
    }

    check(usage.total == total, "the states sum to \(usage.total), not to \(total)")
    check(beyond == 0 || usage.free == 0, "\(usage.free) bytes are free, but \(beyond) adopted beyond the contribution")
    for state in SegmentState.allCases {
      let sum = segments.values.filter { $0.state == state }.reduce(0) { $0 + $1.capacity }
      check(usage[state] == sum, "\(usage[state]) bytes are booked as \(state), the segments have \(sum)")
    }
    for topic in topics.values {
      let sum = segments.values.filter { $0.topic == topic.name }.reduce(0) { $0 + $1.capacity }
      check(topic.bytes == sum, "\(topic.name) is booked with \(topic.bytes) bytes and has \(sum)")
      check(
        sum <= max(quota(of: topic.name), topic.adoptedCeiling), "\(topic.name) holds \(sum) bytes, beyond its quota")
      check(!topic.streams.isEmpty, "\(topic.name) has no stream")
    }
    found += userViolations

    for segment in segments.values {
      let id = segment.identity
      let isComplete = segment.state == .sealed || segment.state == .retained
      check(streams[segment.stream] != nil, "\(id) is of no stream")
      check(
        segment.state == .leased || segment.state == .sealed || segment.promises.isEmpty,
        "\(id) is \(segment.state) and promised")
      check(segment.state != .sealed || !segment.promises.isEmpty, "\(id) is released by all, but not reclaimed")
      check(segment.state != .pinned || !segment.mappings.isEmpty, "\(id) is unmapped by all, but not free")
      check(
        segment.state != .warm || !(segment.isForced || segment.isAdopted),
        "\(id) is warm, though somebody may be reading it")
      check(segment.handed.isSubset(of: segment.promises.keys), "\(id) is handed to whom it is not promised")
      check(
        isComplete == (topics[segment.topic]?.sealed.contains(segment.id) ?? false),
        "\(id) is \(segment.state), its topic's list differs")
      for subscription in segment.promises.keys {
        check(subscriptions[subscription]?.hasLeft == false, "\(id) is promised to \(subscription), which is gone")
        check(
          subscriptions[subscription]?.backlog.contains(segment.id) == isComplete,
          "\(id) is \(segment.state), the backlog of \(subscription) differs")
      }
      for case .subscription(let subscription) in segment.mappings.keys {
        check(
          subscriptions[subscription]?.mappings.contains(segment.id) == true, "\(id): \(subscription) does not map it")
      }
    }

    for holder in awaited {
      let isThere =
        switch holder {
        case .publisher(let stream): streams[stream]?.isAwaited ?? true
        case .subscription(let subscription): subscriptions[subscription]?.isAwaited ?? true
        }
      check(isThere, "\(holder) is awaited, and back")
    }

    for stream in streams.values {
      for id in stream.subscriptions {
        check(
          subscriptions[id]?.streams.contains(stream.id) == true, "\(stream.id) lists \(id), which does not list it")
      }
      for subscription in subscriptions.values
      where stream.absence == nil && subscription.absence == nil && !subscription.hasLeft {
        let isWanted = subscription.matches(stream.topic) && !isPast(stream.id, for: subscription.id)
        check(
          isWanted == stream.subscriptions.contains(subscription.id),
          "\(stream.id) \(isWanted ? "does not list" : "lists") \(subscription.id)")
      }
    }

    for subscription in subscriptions.values {
      for id in subscription.streams {
        check(
          streams[id]?.subscriptions.contains(subscription.id) == true,
          "\(subscription.id) lists \(id), which does not list it")
      }
      let backlog = subscription.backlog.compactMap { segments[$0] }
      check(backlog.count == subscription.backlog.count, "\(subscription.id) has a backlog of what is gone")
      check(
        subscription.backlogBytes == backlog.reduce(0) { $0 + $1.capacity }
          && subscription.backlogMessages == backlog.reduce(0) { $0 + UInt64($1.slots) },
        "the backlog of \(subscription.id) is miscounted")
      for (stream, listed) in subscription.unread {
        let unread = (streams[stream]?.segments ?? []).filter {
          let isUnread = segments[$0]?.handed.contains(subscription.id) == true && !subscription.passed.contains($0)
          return isUnread || subscription.taken.contains($0)
        }
        check(Set(unread) == Set(listed), "\(subscription.id) has \(unread) of \(stream) to read, not \(listed)")
      }
      for (stream, waiting) in subscription.waiting where !isAway(subscription.id) && !isAway(stream) {
        guard let next = waiting.first.flatMap({ segments[$0] }), next.isReady else { continue }
        check(
          unreadBefore(next, of: subscription) > 0,
          "\(next.identity) of \(stream) is kept from \(subscription.id), which has nothing to read before it")
      }
    }
    return found
  }
}
