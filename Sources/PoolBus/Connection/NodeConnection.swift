import BusProtocol
import HandleTransport
import Platform
import PoolNode
import Synchronization
import Vocabulary

/// A process's membership of its host's node. It lasts as long as anything that was got through it: the bus, a publisher,
/// a subscriber, a loan, a sample.
final class NodeConnection: Sendable {
  private let loop: ClientLoop
  /// The node that runs within this process, if none ran on the host.
  private let embeddedNode: Node?

  /// Joins the node at the socket.
  init(socket: consuming PacketSocket, transport: any HandleTransport, embeddedNode: Node?) throws(Errno) {
    loop = try ClientLoop(socket: socket, transport: transport)
    self.embeddedNode = embeddedNode
    let loop = self.loop
    try startThread(named: "poolbus-client") { loop.run() }
  }

  deinit { loop.stop() }

  /// Ends the embedded node, if this process has one, and waits for it.
  func stopEmbeddedNode() async {
    embeddedNode?.stop()
    await embeddedNode?.waitUntilStopped()
  }

  var executor: any TaskExecutor { loop.executor }

  func nextRequest() -> UInt64 { loop.nextRequest() }

  /// Sends without waiting; what the node has no room for yet goes out later, in order. After the node's loss, nothing.
  func send(_ message: ClientMessage) { loop.send(message) }

  // MARK: - Requests

  func hello(name: String) async throws -> Welcome {
    // Names reach other people's terminals: control characters stay out.
    let shown = String(
      name.unicodeScalars.filter { $0.properties.generalCategory != .control }.prefix(60).map(Character.init))
    let message = ClientMessage.hello(Hello(name: shown))
    return try await loop.ask(request: 0, message) { answer in
      if case .welcome(let welcome) = answer { welcome } else { nil }
    }
  }

  func openPublisher(
    _ topic: TopicName, options: PublisherOptions, contribution: UInt64, handles: any HandleSender
  ) async throws -> PublisherCore {
    let request = nextRequest()
    let message = ClientMessage.openPublisher(
      OpenPublisher(request: request, topic: topic, whenFull: options.whenFull, retention: options.retention))
    return try await loop.ask(request: request, message) { [loop] answer in
      guard case .publisherOpened(let opened) = answer else { return nil }
      let core = PublisherCore(
        topic: topic, stream: opened.stream, limit: Int(clamping: min(opened.quota, contribution)),
        whenFull: options.whenFull, node: self, handles: handles)
      loop.add(core)
      return core
    }
  }

  /// - Parameter observer: takes handles instead of messages; the subscription is promised nothing then.
  func subscribe(
    to pattern: TopicPattern, options: SubscriberOptions, observer: HandleQueue? = nil
  ) async throws -> SubscriptionCore {
    let request = nextRequest()
    let message = ClientMessage.subscribe(
      Subscribe(
        request: request, pattern: pattern, observes: observer != nil, wantsRetained: options.receivesRetained,
        backlog: options.backlogLimit))
    // An observer has no wake page: it is sent every handle.
    let doze = observer == nil ? try Doze() : nil
    return try await loop.ask(request: request, message, descriptor: doze?.descriptor) { [loop] answer in
      guard case .subscribed(let subscribed) = answer else { return nil }
      // Registered before the next packet is read: what follows speaks of this subscription.
      let core = SubscriptionCore(
        id: subscribed.subscription, pattern: pattern, node: self, doze: doze, observer: observer)
      loop.add(core)
      return core
    }
  }

  func inspect() async throws -> PoolSnapshot {
    let request = nextRequest()
    let assembler = Mutex(SnapshotAssembler())
    return try await loop.ask(request: request, .inspect(request: request)) { answer in
      guard case .snapshot(let part) = answer else { return nil }
      return assembler.withLock { $0.add(part) }
    }
  }

  // MARK: - Publishers and subscriptions come and go

  func expectLease(_ request: UInt64, for publisher: PublisherCore) { loop.expectLease(request, for: publisher) }

  func closePublisher(_ stream: StreamID) {
    loop.send(.closePublisher(stream))
    loop.removePublisher(stream)
  }

  func closeSubscription(_ subscription: SubscriptionID) {
    loop.send(.unsubscribe(subscription))
    loop.removeSubscription(subscription)
  }

  /// Closes every publisher and subscriber.
  func closeAll() { loop.closeAll() }
}
