import BusProtocol
import HandleTransport
import Platform
import PoolNode
import Synchronization
import Vocabulary

/// A process's membership of its host's node. It lasts as long as anything that was got through it: the bus, a publisher,
/// a subscriber, a loan, a sample.
final class NodeConnection: Sendable {
  let loop: ClientLoop
  let finder: NodeFinder
  let membership: Membership

  /// Joins the node at the socket.
  init(
    socket: consuming PacketSocket, transport: any HandleTransport, finder: NodeFinder,
    configuration: BusConfiguration
  ) throws(Errno) {
    // Names reach other people's terminals: control characters stay out.
    let shown = String(
      configuration.name.unicodeScalars.filter { $0.properties.generalCategory != .control }.prefix(60)
        .map(Character.init))
    self.finder = finder
    membership = Membership(
      transport: transport, socketPath: configuration.socketPath, logger: configuration.logger)
    loop = try ClientLoop(
      socket: socket, transport: transport, finder: finder, membership: membership,
      rejoins: Rejoining(configuration.whenNodeLost, hello: .hello(Hello(name: shown))))
    let loop = self.loop
    // Each mapped segment keeps its descriptor.
    if loop.rejoins.isWanted { DescriptorLimit.raise() }
    try startThread(named: "poolbus-client") { loop.run() }
  }

  deinit { loop.stop() }

  /// Whether descriptors of mapped memory are kept, to be offered to a new node.
  var rejoins: Bool { loop.rejoins.isWanted }

  var executor: any TaskExecutor { loop.executor }

  /// Whether the node that has let this client in last has hung up, and its process has not ended: asks the kernel.
  var hasEndedConnection: Bool { loop.hasEndedConnection }

  func nextRequest() -> UInt64 { loop.nextRequest() }

  /// Sends without waiting; what the node has no room for yet goes out later, in order. After the node's loss, nothing.
  func send(_ message: ClientMessage) { loop.send(message) }

  // MARK: - Requests

  func hello() async throws -> Welcome {
    try await loop.ask(request: 0, loop.rejoins.hello, again: false) { answer in
      if case .welcome(let welcome) = answer { welcome } else { nil }
    }
  }

  func openPublisher(
    _ topic: TopicName, options: PublisherOptions, announcer: Announcer
  ) async throws -> PublisherCore {
    let request = nextRequest()
    let message = ClientMessage.openPublisher(
      OpenPublisher(request: request, topic: topic, whenFull: options.whenFull, retention: options.retention))
    return try await loop.ask(request: request, message, again: true) { [loop] answer in
      guard case .publisherOpened(let opened) = answer else { return nil }
      let core = PublisherCore(
        topic: topic, stream: opened.stream, limit: Int(clamping: opened.quota), options: options, node: self,
        announcer: announcer)
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
    if observer == nil { membership.hangBell() }
    return try await loop.ask(request: request, message, descriptor: doze?.descriptor, again: true) { [loop] answer in
      guard case .subscribed(let subscribed) = answer else { return nil }
      // Registered before the next packet is read: what follows speaks of this subscription.
      let core = SubscriptionCore(
        id: subscribed.subscription, pattern: pattern, options: options, node: self, doze: doze, observer: observer)
      loop.add(core)
      return core
    }
  }

  func inspect() async throws -> PoolSnapshot {
    let request = nextRequest()
    let assembler = Mutex(SnapshotAssembler())
    return try await loop.ask(request: request, .inspect(request: request), again: false) { answer in
      guard case .snapshot(let part) = answer else { return nil }
      return assembler.withLock { $0.add(part) }
    }
  }

  // MARK: - Publishers and subscriptions come and go

  func requestLease(_ wish: RequestLease, for publisher: PublisherCore) { loop.requestLease(wish, for: publisher) }
  func forgetLease(_ request: UInt64) { loop.forgetLease(request) }

  func closePublisher(_ stream: StreamID) -> Bool { loop.closePublisher(stream) }

  func closeSubscription(_ subscription: SubscriptionID) { loop.closeSubscription(subscription) }

  /// Closes every publisher and subscriber.
  func closeAll() { loop.closeAll() }
}

extension Rejoining {
  init(_ policy: NodeLossPolicy, hello: ClientMessage) {
    switch policy {
    case .fail: self.init(isWanted: false, limit: nil, hello: hello)
    case .rejoin(let limit): self.init(isWanted: true, limit: limit?.wholeNanoseconds, hello: hello)
    }
  }
}
