import Platform
import Vocabulary

/// Receives the messages of every topic that its pattern matches: of each publisher in order, each once.
///
/// One task at a time may wait in ``next()``. Closed when it is let go: what it had not read is no longer held for it.
public final class Subscriber: Sendable {
  let core: SubscriptionCore
  private let waiting: Waiting
  private let spin = AdaptiveSpin()
  private let lastLooks = LastLooks()
  private let moderation = Moderation()

  init(_ core: SubscriptionCore, waiting: Waiting) {
    self.core = core
    self.waiting = waiting
  }

  deinit { core.close() }

  public var pattern: TopicPattern { core.pattern }
  public var subscription: SubscriptionID { core.id }

  /// Messages that policies took from this subscriber before it read them, so far.
  public var laggedMessages: UInt64 { core.lagged }

  /// The next message; waits for it as ``SubscriberOptions/waiting`` says. Nil once the subscriber is closed.
  ///
  /// - Throws: ``BusError/lagged(_:)`` and ``BusError/corruptSegment(_:)``, once each at the place where messages are
  ///   missing: call again to read on. ``BusError/nodeLost`` when all that was handed over is read, and no
  ///   node came back in time: until then it waits.
  ///   `CancellationError` as soon as the task is cancelled.
  public func next() async throws -> Sample? {
    guard let message = try await receive(limit: 1) else { return nil }
    return Sample(message)
  }

  /// The messages that are there, of one stream, in one place; waits for the first of them. For many small messages, as
  /// it looks once for all. Nil once the subscriber is closed.
  ///
  /// Throws as ``next()``.
  ///
  /// - Parameter limit: how many messages at the most.
  public func nextBatch(limit: Int = .max) async throws -> SampleBatch? {
    guard let message = try await receive(limit: max(limit, 1)) else { return nil }
    return SampleBatch(message)
  }

  @inline(__always)
  private func receive(limit: Int) async throws -> SubscriptionCore.Message? {
    // When the wait began; nil as long as none did.
    var start: UInt64?
    do {
      while true {
        try Task.checkCancellation()
        // Who spins looks often at once, before it asks what time it is.
        let looks = waiting == .spin ? SubscriptionCore.mostLooks : 1
        // Not at all of many streams: before it sleeps, it does.
        if let message = try core.take(limit: limit, looks: looks, .nearby) ?? lookOn(limit, &start) {
          if let start, waiting == .adaptive { spin.came(after: message.publishTime.subtracting(start)) }
          return message
        }
        if waiting == .spin { await Task.yield() } else { try await core.wait() }
      }
    } catch BusError.closed {
      return nil
    }
  }

  /// The next message if one is there, or nil. Never waits. Throws as ``next()``, and ``BusError/closed``.
  ///
  /// - Parameter looks: how often to look before saying that none is there, but once at least: cheaper, for who spins,
  ///   than as many calls.
  public func tryNext(looks: Int = 1) throws(BusError) -> Sample? {
    var remaining = max(looks, 1)
    while true {
      if let message = try core.take(looks: remaining) { return Sample(message) }
      remaining -= SubscriptionCore.mostLooks
      guard remaining > 0 else { return nil }
    }
  }

  /// Ends the subscription; who waits in ``next()`` gets nil. Samples that are out stay readable.
  public func close() { core.close() }

  /// Goes on looking for the next message, for as long as that costs less than to sleep.
  @inline(never)
  private func lookOn(_ limit: Int, _ start: inout UInt64?) throws(BusError) -> SubscriptionCore.Message? {
    if waiting == .spin || waiting == .adaptive && !lastLooks.sharesCore {
      start = start ?? Clock.realtimeNanoseconds
      if let message = try spinForMessage(limit) {
        spin.paid()
        return message
      }
    }
    return waiting == .spin ? nil : try lookBeforeSleep(limit)
  }

  /// About 20 microseconds.
  private static let turnsBetweenYields = 16

  /// Watches the segments for a while; with `.adaptive`, for as long as that has lately paid.
  private func spinForMessage(_ limit: Int) throws(BusError) -> SubscriptionCore.Message? {
    let start = Clock.monotonicNanoseconds
    let budget = waiting == .spin ? AdaptiveSpin.longest : spin.budget()
    var last = start
    var turns = 0
    while true {
      for _ in 0..<8 {
        if let message = try core.take(limit: limit, looks: SubscriptionCore.mostLooks, .atHand) { return message }
      }
      if let message = try core.take(limit: limit, .nearby) { return message }
      let now = Clock.monotonicNanoseconds
      if waiting == .adaptive, now &- last > AdaptiveSpin.preempted {
        spin.wasPreempted()
        return nil
      }
      if now &- start >= budget { return nil }
      last = now
      turns += 1
      // Who publishes may be waiting for this very core.
      if turns.isMultiple(of: Self.turnsBetweenYields) {
        letOthersRun()
        if waiting == .adaptive, lastLooks.sharesCore { return nil }
      }
    }
  }

  private func lookBeforeSleep(_ limit: Int) throws(BusError) -> SubscriptionCore.Message? {
    if moderation.isNapDue() {
      nap(nanoseconds: Moderation.nap)
      if let message = try core.take(limit: limit, .nearby) {
        moderation.came(message, after: .nap)
        return message
      }
    }
    var budget = lastLooks.budget()
    while budget > 0 {
      budget -= letOthersRun()
      if let message = try core.take(limit: limit, .nearby) {
        // Who spins does not nap, and others who want the core would be disturbed by naps' ends.
        let mayNap = waiting == .block && !lastLooks.sharesCore
        if mayNap { moderation.came(message, after: .looks) } else { moderation.pauses() }
        return message
      }
    }
    moderation.pauses()
    return nil
  }

  /// - Returns: what that cost of the looks before a sleep.
  @discardableResult
  private func letOthersRun() -> Int {
    let start = Clock.monotonicNanoseconds
    yieldCore()
    return lastLooks.cameBack(after: Clock.monotonicNanoseconds &- start)
  }
}

extension UInt64 {
  /// The difference; 0 if `other` is the larger, as clocks of others may say.
  fileprivate func subtracting(_ other: UInt64) -> UInt64 { self > other ? self - other : 0 }
}
