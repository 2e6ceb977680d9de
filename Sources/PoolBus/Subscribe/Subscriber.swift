import Platform
import Vocabulary

/// Receives the messages of every topic that its pattern matches: of each publisher in order, each once.
///
/// One task at a time may wait in ``next()``. Closed when it is let go: what it had not read is no longer held for it.
public final class Subscriber: Sendable {
  private let core: SubscriptionCore
  private let waiting: Waiting
  private let spin = AdaptiveSpin()

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
  ///   missing: call again to read on. ``BusError/nodeLost`` when all that was handed over is read.
  ///   `CancellationError` as soon as the task is cancelled.
  public func next() async throws -> Sample? {
    while true {
      try Task.checkCancellation()
      switch try look() {
      case .message(let message): return Sample(message)
      case .closed: return nil
      case .nothing where waiting == .spin: await Task.yield()
      case .nothing: try await core.wait()
      }
    }
  }

  /// The next message if one is there, or nil. Never waits. Throws as ``next()``, and ``BusError/closed``.
  public func tryNext() throws(BusError) -> Sample? {
    guard let message = try core.take() else { return nil }
    return Sample(message)
  }

  /// Ends the subscription; who waits in ``next()`` gets nil. Samples that are out stay readable.
  public func close() { core.close() }

  private enum Look {
    case message(SubscriptionCore.Message)
    case nothing
    case closed
  }

  /// Looks for the next message, and unless it blocks at once, goes on looking for a while.
  private func look() throws(BusError) -> Look {
    do {
      if let message = try core.take() { return .message(message) }
      if waiting != .block, let message = try spinForMessage() { return .message(message) }
      return .nothing
    } catch {
      guard error == .closed else { throw error }
      return .closed
    }
  }

  /// Watches the segments for a while; with `.adaptive`, for as long as that has lately paid.
  private func spinForMessage() throws(BusError) -> SubscriptionCore.Message? {
    let start = Clock.monotonicNanoseconds
    let budget = waiting == .spin ? AdaptiveSpin.longest : spin.budget
    while true {
      for _ in 0..<32 {
        if let message = try core.take() {
          if waiting == .adaptive { spin.paid(after: Clock.monotonicNanoseconds &- start) }
          return message
        }
        spinHint()
      }
      if Clock.monotonicNanoseconds &- start >= budget { break }
    }
    if waiting == .adaptive { spin.wasted() }
    return nil
  }
}
