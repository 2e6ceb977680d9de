import BusProtocol
import HandleTransport
import Logging
import Platform
import PoolNode
import Synchronization
import Vocabulary

/// A process's way onto the bus of its host.
///
/// Lasts until ``close()``, or until the bus and all publishers, subscribers, loans and samples that came of it are gone; a node that
/// it started ends with it.
///
/// ```swift
/// let bus = try await Bus.connect()
/// let frames = try await bus.publisher(for: "camera/front")
/// let subscriber = try await bus.subscriber(to: "camera/**")
/// ```
public final class Bus: Sendable {
  private let node: NodeConnection

  /// Joins the node at ``BusConfiguration/socketPath``; if none is running there, starts one within this process, which others can
  /// join.
  ///
  /// - Throws: ``BusError/cannotJoin(_:)``, which says why.
  public static func connect(_ configuration: BusConfiguration = BusConfiguration()) async throws -> Bus {
    try await connect(configuration, transport: nil)
  }

  /// - Parameter transport: nil for ZeroMQ.
  static func connect(_ configuration: BusConfiguration, transport: (any HandleTransport)?) async throws -> Bus {
    let handles: any HandleTransport
    do { handles = try transport ?? ZeroMQTransport() } catch { throw BusError.cannotJoin("\(error)") }
    let finder = NodeFinder(configuration)
    let connection: NodeConnection
    let socket = try finder.join()
    do {
      connection = try NodeConnection(
        socket: socket, transport: handles, finder: finder, configuration: configuration)
    } catch {
      throw BusError.cannotJoin("the client's thread could not be started: \(error)")
    }
    _ = try await connection.hello()
    return Bus(node: connection)
  }

  private init(node: NodeConnection) { self.node = node }

  /// Bytes of the pool.
  public var contribution: UInt64 { node.membership.welcome?.contribution ?? 0 }

  /// This process's number at its node, as `busctl` shows it; another after it has rejoined.
  public var client: ClientID { node.membership.welcome?.client ?? ClientID(rawValue: 0) }

  /// What happens between this process and its node, from now on: whether it is gone, or back. Each call gives a stream
  /// of its own.
  public var nodeEvents: AsyncStream<NodeEvent> { node.membership.events }

  /// Opens a stream on a topic.
  ///
  /// - Throws: ``InvalidTopic``; ``BusError``.
  public func publisher(
    for topic: String, options: PublisherOptions = PublisherOptions()
  ) async throws -> Publisher {
    let topic = try TopicName(topic)
    let core = try await node.openPublisher(topic, options: options, announcer: try node.membership.announcer())
    return Publisher(core)
  }

  /// Subscribes to every topic that the pattern matches, now and later; misses nothing from here on.
  ///
  /// - Throws: ``InvalidTopic``; ``BusError``.
  public func subscriber(
    to pattern: String, options: SubscriberOptions = SubscriberOptions()
  ) async throws -> Subscriber {
    let core = try await node.subscribe(to: try TopicPattern(pattern), options: options)
    return Subscriber(core, waiting: options.waiting)
  }

  /// Watches the handles of every topic that the pattern matches, without holding any memory.
  ///
  /// - Throws: ``InvalidTopic``; ``BusError``.
  public func observer(of pattern: String) async throws -> HandleObserver {
    let queue = HandleQueue()
    let core = try await node.subscribe(
      to: try TopicPattern(pattern), options: SubscriberOptions(), observer: queue)
    return HandleObserver(core, queue: queue)
  }

  /// Runs tasks on the thread that receives: with `.block`, a message wakes a task there without a further hop between
  /// threads: by one wake-up in place of two.
  ///
  /// ```swift
  /// Task(executorPreference: bus.executor) { while let sample = try await subscriber.next() { … } }
  /// ```
  ///
  /// As in an event loop, what a task computes there delays all others of this bus: hand long work over to another task.
  public var executor: any TaskExecutor { node.executor }

  /// The node's books at this moment.
  public func inspect() async throws -> PoolSnapshot { try await node.inspect() }

  /// Handles that this process has sent, and their bytes.
  public var sentHandles: (count: UInt64, byteCount: UInt64) { node.membership.sent }

  /// Closes every publisher and subscriber of this bus, and the node if it is embedded here; whatever is asked of it from
  /// then on throws ``BusError/closed``. Samples and loans that are out stay readable.
  public func close() async {
    node.closeAll()
    node.membership.closeSender()
    await node.finder.stopNode()
  }
}

extension BusError {
  init(_ refusal: Refusal) {
    self =
      switch refusal.code {
      case .poolExhausted: .poolExhausted(refusal.message)
      case .outOfMemory: .outOfMemory(refusal.message)
      case .notPermitted: .notPermitted(refusal.message)
      case .limit: .limitReached(refusal.message)
      default: .refused(refusal.message)
      }
  }
}
