import Vocabulary

/// Sees the handles of every topic that its pattern matches, but no payloads: it is promised nothing, holds no memory,
/// and slows nobody.
///
/// Gaps in ``Handle/sequence`` are messages without a handle of their own: a batch has one, for its last message, and handles
/// are dropped when the observer does not keep up. Those of a publisher that several threads use may come out of order.
public final class HandleObserver: Sendable {
  private let core: SubscriptionCore

  /// A handle, and the topic of its stream.
  public struct Observed: Sendable {
    public var topic: TopicName
    public var handle: Handle
  }

  /// The handles as they come; ends when the observer is closed, or the node is lost for good (``NodeLossPolicy``).
  public let handles: AsyncStream<Observed>

  init(_ core: SubscriptionCore, queue: HandleQueue) {
    self.core = core
    handles = queue.stream
  }

  deinit { core.close() }

  public func close() { core.close() }
}

/// Handles between the client's loop and an observer.
final class HandleQueue: Sendable {
  let stream: AsyncStream<HandleObserver.Observed>
  private let continuation: AsyncStream<HandleObserver.Observed>.Continuation

  init() {
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(65_536))
  }

  func add(_ handle: Handle, topic: TopicName) {
    continuation.yield(HandleObserver.Observed(topic: topic, handle: handle))
  }

  func finish() { continuation.finish() }
}
