import Vocabulary

// After the node has started anew its clients return, in any order, with what they had of the node before. A stream or a
// subscription is away from when the first that knows it speaks of it until all that its own client has is here. What is
// away is given nothing, but kept everything: it is promised what it may have missed.

/// What is missing of a stream, or a subscription, that the node before knew.
enum Absence: Equatable, Sendable {
  /// Others spoke of it; its own client is waited for until this time.
  case awaited(until: UInt64)
  /// Its client is telling what it has.
  case returning
}

/// Why a client can't go on with what it says it had.
public enum ReturnRefusal: Error, Equatable, Sendable {
  /// Another has it, or it has ended.
  case notTheirs
  /// It is of another topic, size or stream than others say, or of none that its client may have.
  case contradiction
  /// Beyond what the pool can take in.
  case tooMuch
}

extension SubscriptionID {
  /// Stands for whoever may have been a subscription of the node before: no subscription has this number.
  public static let anybody = SubscriptionID(rawValue: 0)
}

extension Ledger {
  /// As many streams and subscriptions are awaited at the most because others have spoken of them.
  static let maximumAwaited = 65_536

  /// The node before may have had subscriptions that nobody else knows. Until the deadline, what is published in new
  /// streams is kept for them.
  public mutating func awaitAnybody(until deadline: UInt64, now: UInt64) {
    expect(.anybody, of: .everything, until: deadline, now: now)
  }

  private mutating func expect(
    _ id: SubscriptionID, of pattern: TopicPattern, until deadline: UInt64, now: UInt64
  ) {
    awaited.insert(.subscription(id))
    var record = SubscriptionRecord(
      id: id, client: .nobody, pattern: pattern, readable: .all, observes: false, wantsRetained: false, limit: .none,
      joined: now)
    record.absence = .awaited(until: deadline)
    subscriptions[id] = record
  }

  /// A publisher goes on with its stream. It offers its segments next, then ``streamReturned(_:contents:now:)``.
  ///
  /// - Parameters:
  ///   - opened: when that was.
  ///   - listeners: subscriptions that were promised the stream: those that are not back are awaited.
  ///   - deadline: until when these are awaited.
  public mutating func returnStream(
    _ id: StreamID, client: ClientID, topic: TopicName, whenFull: FullPolicy, retention: Retention?,
    opened: UInt64 = 0, user: UserID, limit: UserLimit, listeners: [SubscriptionID], awaitedUntil deadline: UInt64,
    now: UInt64
  ) throws(ReturnRefusal) -> [LedgerAction] {
    if let known = streams[id] {
      guard known.isAwaited else { throw .notTheirs }
      if known.topic != topic {
        // Its publisher knows better than a reader of which topic it is; but what is on the books stays there.
        guard known.segments.isEmpty else { throw .contradiction }
        forget(known)
      }
    }
    if streams[id] == nil { addAway(id, topic: topic) }
    streams[id]?.client = client
    streams[id]?.opened = min(opened, now)
    give(id, to: user, limit: limit)
    streams[id]?.whenFull = whenFull
    streams[id]?.absence = .returning
    awaited.remove(.publisher(id))
    for listener in listeners {
      // Whoever invents more than can be awaited keeps nobody else out.
      if subscriptions[listener] == nil, awaited.count < Self.maximumAwaited {
        expect(listener, of: TopicPattern(topic), until: deadline, now: now)
      }
      if subscriptions[listener]?.isAwaited == true { list(listener, on: id) }
    }
    // One that is no older than others may be late knows not all who want it.
    let isYoung = min(opened, now).addingClamped(deadline - min(now, deadline)) >= now
    if isYoung, subscriptions[.anybody]?.isAwaited == true { list(.anybody, on: id) }
    var actions: [LedgerAction] = []
    set(retention, of: topic, now: now, &actions)
    return settle(actions, now: now)
  }

  /// A publisher's client has gone before it had told all that it has: it is awaited as if it had not come.
  public mutating func interruptReturn(
    of id: StreamID, mappingsGone: Bool, awaitedUntil deadline: UInt64, now: UInt64
  ) -> [LedgerAction] {
    guard let stream = streams[id], stream.absence == .returning else { return [] }
    var actions: [LedgerAction] = []
    streams[id]?.client = .nobody
    awaitPublisher(of: id, until: deadline)
    for segment in stream.segments {
      segments[segment]?.isForeign = true
      segments[segment]?.sealedSlots = nil
      guard mappingsGone else { continue }
      segments[segment]?.mappings[.publisher(id)] = nil
      destroyIfUnmapped(segment, &actions)
    }
    return settle(actions, now: now)
  }

  /// A subscription reads on. It tells its cursors and segments next, then ``subscriptionReturned(_:contents:now:)``.
  ///
  /// - Parameter joined: when that was.
  public mutating func returnSubscription(
    _ id: SubscriptionID, client: ClientID, pattern: TopicPattern, readable: TopicFilter = .all, observes: Bool,
    wantsRetained: Bool, backlog: BacklogLimit, joined: UInt64 = 0, now: UInt64
  ) throws(ReturnRefusal) {
    guard subscriptions[id].map({ $0.isAwaited }) ?? true else { throw .notTheirs }
    var record =
      subscriptions[id]
      ?? SubscriptionRecord(
        id: id, client: client, pattern: pattern, readable: readable, observes: observes,
        wantsRetained: wantsRetained, limit: backlog, joined: now)
    record.client = client
    record.pattern = pattern
    record.readable = readable
    record.observes = observes
    record.wantsRetained = wantsRetained
    record.limit = backlog
    record.joined = min(joined, now)
    record.absence = .returning
    record.hasReturned = true
    subscriptions[id] = record
    awaited.remove(.subscription(id))
    for stream in streams.values where record.matches(stream.topic) { list(id, on: stream.id) }
  }

  /// Where a returning subscription stands in a stream. A stream that nobody else knows yet is awaited, if not too many are.
  /// Of readers that contradict each other about its topic, its publisher will tell who is right, or memory; one that
  /// contradicts the publisher is not listened to.
  public mutating func returnCursor(
    _ id: SubscriptionID, stream: StreamID, topic: TopicName, nextSequence: UInt64, awaitedUntil deadline: UInt64,
    now: UInt64
  ) throws(ReturnRefusal) {
    guard let subscription = subscriptions[id], subscription.absence == .returning else { throw .notTheirs }
    guard subscription.matches(topic) else { throw .contradiction }
    if let known = streams[stream] {
      guard known.topic == topic || known.isAwaited else { return }
    } else if awaited.count < Self.maximumAwaited {
      expect(stream, of: topic, until: deadline)
    }
    // Whoever invents more than can be awaited sends nobody away: the stream's publisher, or a segment, may come all the same.
    subscriptions[id]?.positions[stream] = nextSequence
  }

  /// A reader has a segment of the stream, whose memory says of which topic that is: this counts more than what others say of
  /// a stream that is awaited. One that nobody knows is awaited from here on.
  public mutating func expect(
    _ id: StreamID, provenOf topic: TopicName, until deadline: UInt64
  ) throws(ReturnRefusal) {
    guard let known = streams[id] else { return expect(id, of: topic, until: deadline) }
    guard known.topic != topic else { return }
    guard known.isAwaited, known.segments.isEmpty else { throw .contradiction }
    forget(known)
    addAway(id, topic: topic)
    streams[id]?.absence = known.absence
  }

  private mutating func expect(_ id: StreamID, of topic: TopicName, until deadline: UInt64) {
    addAway(id, topic: topic)
    awaitPublisher(of: id, until: deadline)
  }

  private mutating func awaitPublisher(of id: StreamID, until deadline: UInt64) {
    streams[id]?.absence = .awaited(until: deadline)
    awaited.insert(.publisher(id))
  }

  private mutating func addAway(_ id: StreamID, topic: TopicName) {
    var stream = StreamRecord(
      id: id, client: .nobody, user: .nobody, topic: topic, whenFull: .wait(timeout: nil), opened: 0)
    stream.absence = .returning
    add(stream, limit: .none)
    // Its publisher names those who are unknown yet.
    for subscription in subscriptions.values
    where !subscription.hasLeft && subscription.mayMatch(topic) && subscription.id != .anybody {
      list(subscription.id, on: id)
    }
  }
}

extension ClientID {
  /// Of what is awaited: no client has this number.
  public static let nobody = ClientID(rawValue: 0)
}

extension StreamRecord {
  var isAwaited: Bool { if case .awaited = absence { true } else { false } }
}

extension SubscriptionRecord {
  var isAwaited: Bool { if case .awaited = absence { true } else { false } }

  /// One that is awaited may match anything: its pattern comes with it.
  func mayMatch(_ topic: TopicName) -> Bool { isAwaited || matches(topic) }
}
