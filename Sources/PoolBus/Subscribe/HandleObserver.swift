import Vocabulary

/// Sees the handles of every topic that its pattern matches, but no payloads: it is promised nothing, holds no memory,
/// and slows nobody.
///
/// Handles are dropped when it does not keep up; gaps in ``Handle/sequence`` show how many.
public final class HandleObserver: Sendable {
  private let core: SubscriptionCore

  /// A handle, and the topic of its stream.
  public struct Observed: Sendable {
    public var topic: TopicName
    public var handle: Handle
  }

  /// The handles as they come; ends when the observer is closed or the node is lost.
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
