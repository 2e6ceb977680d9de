import BusProtocol
import HandleTransport
import Logging
import Platform
import PoolNode
import Synchronization
import Vocabulary

/// A process's way onto the bus of its host.
///
/// ```swift
/// let bus = try await Bus.connect()
/// let frames = try await bus.publisher(for: "camera/front")
/// let subscriber = try await bus.subscriber(to: "camera/**")
/// ```
public final class Bus: Sendable {
  private let socketPath: String
  private let node: NodeConnection
  private let welcome: Welcome
  private let transport: any HandleTransport
  private let sender = Mutex<(any HandleSender)?>(nil)

  /// Joins the host's node; if none is running, starts one within this process, which others on the host can join.
  ///
  /// - Throws: ``BusError/cannotJoin(_:)``, which says why.
  public static func connect(_ configuration: BusConfiguration = BusConfiguration()) async throws -> Bus {
    try await connect(configuration, transport: nil)
  }

  /// - Parameter transport: nil for ZeroMQ.
  static func connect(_ configuration: BusConfiguration, transport: (any HandleTransport)?) async throws -> Bus {
    let handles: any HandleTransport
    do { handles = try transport ?? ZeroMQTransport() } catch { throw BusError.cannotJoin("\(error)") }
    let (socket, node) = try join(configuration)
    let connection: NodeConnection
    do {
      connection = try NodeConnection(socket: socket.take(), transport: handles, embeddedNode: node)
    } catch {
      throw BusError.cannotJoin("the client's thread could not be started: \(error)")
    }
    let welcome = try await connection.hello(name: configuration.name)
    return Bus(socketPath: configuration.socketPath, node: connection, welcome: welcome, transport: handles)
  }

  private init(socketPath: String, node: NodeConnection, welcome: Welcome, transport: any HandleTransport) {
    self.socketPath = socketPath
    self.node = node
    self.welcome = welcome
    self.transport = transport
  }

  /// Bytes of the pool.
  public var contribution: UInt64 { welcome.contribution }

  /// This process's number at its node, as `busctl` shows it.
  public var client: ClientID { welcome.client }

  /// Opens a stream on a topic.
  ///
  /// - Throws: ``InvalidTopic``; ``BusError``.
  public func publisher(
    for topic: String, options: PublisherOptions = PublisherOptions()
  ) async throws -> Publisher {
    let topic = try TopicName(topic)
    let core = try await node.openPublisher(
      topic, options: options, contribution: welcome.contribution, handles: try handleSender())
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
  /// threads, which halves what the wake-up costs.
  ///
  /// ```swift
  /// Task(executorPreference: bus.executor) { while let sample = try await subscriber.next() { … } }
  /// ```
  ///
  /// As in an event loop, what a task computes there delays all others of this bus: hand long work over to another task.
  public var executor: any TaskExecutor { node.executor }

  /// The node's books at this moment.
  public func inspect() async throws -> PoolSnapshot { try await node.inspect() }

  /// Handles that this process has sent over ZeroMQ, and their bytes.
  public var sentHandles: (count: UInt64, byteCount: UInt64) {
    sender.withLock { ($0?.sentCount ?? 0, $0?.sentByteCount ?? 0) }
  }

  /// Closes every publisher and subscriber of this bus, and the node if it is embedded here. Samples and loans that are
  /// out stay readable.
  public func close() async {
    node.closeAll()
    sender.withLock { $0?.close() }
    await node.stopEmbeddedNode()
  }

  /// One socket for all publishers of a process, made with the first.
  private func handleSender() throws(BusError) -> any HandleSender {
    try sender.withLock { sender throws(BusError) in
      if let sender { return sender }
      do {
        let made = try transport.sender(at: welcome.handleEndpoint)
        // Whoever may join the node may listen, also other users.
        SocketFile.share(welcome.handleEndpoint, as: socketPath)
        sender = made
        return made
      } catch {
        throw .cannotJoin("handles can't be published at \(welcome.handleEndpoint): \(error)")
      }
    }
  }
}

extension Bus {
  /// A connected socket, and the node that had to be started for it.
  private static func join(_ configuration: BusConfiguration) throws(BusError) -> (JoinedSocket, Node?) {
    var failure: BusError = .nodeLost
    // Two processes may find no node at the same moment: one starts it, the other finds it at its next try.
    for _ in 0..<8 {
      do throws(SocketError) {
        return (JoinedSocket(try PacketSocket.connect(to: configuration.socketPath)), nil)
      } catch {
        failure = .cannotJoin("\(error)")
        guard case .nobodyListens = error, let embedded = configuration.embeddedNode else { throw failure }
        do throws(NodeError) {
          let node = try Node.start(
            NodeConfiguration(
              socketPath: configuration.socketPath, contribution: embedded.contribution, quotas: embedded.quotas),
            logger: embedded.logger)
          if let socket = try? PacketSocket.connect(to: configuration.socketPath) {
            return (JoinedSocket(socket), node)
          }
        } catch {
          failure = .cannotJoin("\(error)")
          guard case .socket(.inUse) = error else { throw failure }
        }
      }
    }
    throw failure
  }
}

/// Carries a socket through a tuple, which can't hold a noncopyable value.
private final class JoinedSocket: Sendable {
  private let socket: Mutex<PacketSocket?>

  init(_ socket: consuming PacketSocket) { self.socket = Mutex(socket) }

  func take() -> PacketSocket { socket.withLock { $0.take()! } }
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
