import BusProtocol
import Platform
import Vocabulary

// When the node is gone: the loop goes on without it, looks for it again, and tells the next one all that this client had.

extension ClientLoop {
  /// Where the client stands with its node.
  enum Phase: Equatable {
    case joined
    /// There is none, since then: nanoseconds of the monotonic clock.
    case gone(since: UInt64)
    /// A new one is there, but does not know yet what this client has.
    case rejoining(since: UInt64)
  }

  /// A connected socket, held by whoever uses it at the moment.
  final class Connection: Sendable {
    let socket: PacketSocket
    /// The process at the other end; nil if the kernel won't tell.
    private let peer: OwnedDescriptor?

    init(_ socket: consuming PacketSocket) {
      peer = try? socket.peerProcess()
      self.socket = socket
    }

    /// Whether the process at the other end has ended. One that dies hangs up a moment before: that moment is waited for.
    var hasPeerEnded: Bool {
      peer?.hasProcessEnded(withinMilliseconds: 20) ?? false
    }
  }

  /// When to look for the node next: soon at first. It is over when a node has let the client in.
  struct Search {
    private static let shortest: UInt64 = 2_000_000
    static let longest: UInt64 = 100_000_000

    let start: UInt64
    private(set) var next: UInt64
    private var pause = Search.shortest

    init(start: UInt64) {
      self.start = start
      next = start
    }

    mutating func failed(at now: UInt64) {
      next = now + pause
      pause = min(pause * 2, Self.longest)
    }
  }

  // MARK: - Without a node

  /// - Returns: since when the client is without a node; nil if it does not go on without one.
  func nodeIsGone() -> UInt64? {
    let now = Clock.monotonicNanoseconds
    let (since, answers, publishers, subscriptions) = state.withLock {
      state -> (UInt64?, [Answer], [PublisherCore], [SubscriptionCore]) in
      guard rejoins.isWanted, !state.isStopping, !state.isClosed else { return (nil, [], [], []) }
      state.connection = nil
      state.outbox = PacketOutbox()
      state.deferred = []
      // What can't be asked again is answered.
      let ended = state.answers.filter { $0.value.bytes == nil }
      for request in ended.keys { state.answers[request] = nil }
      let since = if case .rejoining(let since) = state.phase { since } else { now }
      state.phase = .gone(since: since)
      return (since, Array(ended.values), Array(state.publishers.values), Array(state.subscriptions.values))
    }
    for answer in answers { answer.fail(BusError.nodeLost) }
    for publisher in publishers { publisher.nodeIsGone() }
    for subscription in subscriptions { subscription.nodeIsGone() }
    if since == now { membership.tell(.lost) }
    return since
  }

  /// Who waits for a lease no longer than until now is told that there is no node: nobody else looks at the time.
  func giveUpOverdue() {
    let now = Clock.monotonicNanoseconds
    for publisher in state.withLock({ Array($0.publishers.values) }) { publisher.giveUpOverdue(now: now) }
  }

  /// Looks for the node if it is time to.
  ///
  /// - Returns: the connection to a new one; nil if there is none yet.
  func findNode(_ search: inout Search) -> Connection? {
    let now = Clock.monotonicNanoseconds
    guard now >= search.next else { return nil }
    guard let socket = finder.findAgain(mayStart: membership.welcome?.isEmbedded == true) else {
      search.failed(at: now)
      return nil
    }
    let connection = Connection(socket)
    guard let hello = try? rejoins.hello.encoded() else { return nil }
    state.withLock { state in
      state.phase = .rejoining(since: search.start)
      state.connection = connection
      _ = state.transmit(hello, descriptor: nil)
    }
    return connection
  }

  /// Whether it has looked for as long as it shall.
  func hasSearchedEnough(_ search: Search) -> Bool {
    guard let limit = rejoins.limit else { return false }
    return Clock.monotonicNanoseconds - search.start >= limit
  }

  // MARK: - With a new one

  /// The new node lets the client in: it is told all that this client has.
  ///
  /// From here until that is said, what other threads say is kept back: each thing is either part of what is told, or said
  /// after it.
  func rejoin(_ welcome: Welcome) -> BusError? {
    // The same node, still alive, has ended the connection: it has taken back what was here.
    guard welcome.life != membership.welcome?.life else {
      return .refused("it had ended the connection before, and has taken back what this client had; connect anew")
    }
    membership.welcomed(welcome)
    let (publishers, subscriptions) = state.withLock { state in
      state.lastJoined = state.connection
      return (
        state.publishers.values.sorted { $0.stream < $1.stream }, state.subscriptions.values.sorted { $0.id < $1.id }
      )
    }
    // Held until all is said, lest something be unmapped while it is offered.
    let writing = publishers.map { $0.rejoinState() }
    let reading = subscriptions.map { $0.rejoinState() }
    for state in writing { tell(.rejoinPublisher(state.publisher)) }
    for state in reading {
      tell(.rejoinSubscription(state.subscription), descriptor: state.wakePage)
      for cursor in state.cursors { tell(.rejoinCursor(cursor)) }
    }
    for state in writing {
      for offer in state.offers { tell(.offerSegment(offer.message), descriptor: offer.descriptor) }
    }
    for state in reading {
      for offer in state.offers { tell(.offerSegment(offer.message), descriptor: offer.descriptor) }
    }
    let closed = finishRejoining()
    withExtendedLifetime((writing, reading)) {}
    for publisher in closed { publisher.letGo() }
    for publisher in publishers {
      // Until the node has told the publisher's own quota.
      publisher.allow(welcome.contribution)
      publisher.nodeIsBack()
    }
    membership.tell(.rejoined(client: welcome.client))
    return nil
  }

  /// - Returns: publishers that were closed meanwhile.
  private func finishRejoining() -> [PublisherCore] {
    tell(.rejoinDone)
    return state.withLock { state in
      // Not answered by the old node, and not known to the new one.
      for (_, answer) in state.answers.sorted(by: { $0.key < $1.key }) {
        if let bytes = answer.bytes { _ = state.transmit(bytes, descriptor: answer.descriptor) }
      }
      for (_, lease) in state.leases.sorted(by: { $0.key < $1.key }) {
        _ = state.transmit(lease.bytes, descriptor: nil)
      }
      for bytes in state.deferred { _ = state.transmit(bytes, descriptor: nil) }
      state.deferred = []
      state.phase = .joined
      let closed = state.closing.compactMap { state.publishers.removeValue(forKey: $0) }
      for stream in state.closing.sorted() {
        if let bytes = try? ClientMessage.closePublisher(stream).encoded() {
          _ = state.transmit(bytes, descriptor: nil)
        }
      }
      state.closing = []
      return closed
    }
  }

  /// Says something ahead of what is kept back.
  private func tell(_ message: ClientMessage, descriptor: CInt? = nil) {
    guard let bytes = try? message.encoded() else { return }
    _ = state.withLock { $0.transmit(bytes, descriptor: descriptor) }
  }
}

/// Whether, how long, and as whom a client rejoins.
struct Rejoining: Sendable {
  var isWanted: Bool
  /// Nanoseconds; nil for ever.
  var limit: UInt64?
  var hello: ClientMessage
}

/// A segment that a client offers to a new node, with the descriptor of its memory.
struct SegmentOffer: Sendable {
  var message: OfferSegment
  var descriptor: CInt
  /// Keeps both alive.
  var owner: any AnyObject & Sendable
}
