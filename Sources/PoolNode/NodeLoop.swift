import BusProtocol
import Glibc
import Logging
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// The node's one thread: waits for sockets, processes and finished work, asks ``NodeCore``, and does what it says.
final class NodeLoop {
  var core: NodeCore
  var listener: PacketListener
  let poller: Poller
  let control: NodeControl
  let segments: SegmentStore
  let descriptors: DescriptorStore?
  let logger: Logger
  var connections: [ClientID: ClientConnection] = [:]
  var buffer = [UInt8](repeating: 0, count: PacketSocket.maximumPacketByteCount)
  /// When to listen again; nil while the node listens.
  var deafUntil: UInt64?
  /// When to send again to clients whose packets wait for what no socket tells; nil if there are none.
  var sendAgainAt: UInt64?
  /// Clients that bring back segments for which there are no descriptors at present.
  var postponed: Set<ClientID> = []
  /// Whether clients have to wait for descriptors.
  var shortage = Shortage()
  var hasToldImbalance = false
  /// The descriptor that came with the packet at hand, until an action takes it.
  var arrived: OwnedDescriptor?
  /// Clients that broke the protocol, to be let go of when the actions at hand are done.
  var failed: [(ClientID, String)] = []

  /// How many packets of one client, or new clients, are taken before the others have their turn, and how long the packets
  /// may take.
  static let packetsAtATime = 64
  static let turnNanoseconds: UInt64 = 2_000_000
  /// How long the node does not listen when it could not let a client in: listening on would spin.
  static let deafNanoseconds: UInt64 = 50_000_000
  /// How long, at the most, a node that stops listens to what was said before.
  static let lastWordsNanoseconds: UInt64 = 50_000_000
  /// What one segment that is brought back takes, and those that are being made meanwhile.
  static let descriptorsToTakeIn = 12

  enum Token {
    static let listener: UInt64 = 0
    static let control: UInt64 = 1
    static func socket(_ client: ClientID) -> UInt64 { client.rawValue << 1 }
    static func process(_ client: ClientID) -> UInt64 { client.rawValue << 1 | 1 }
    // Client numbers start at 1, so tokens from 2 on are theirs.
    static func client(_ token: UInt64) -> (ClientID, isProcess: Bool) {
      (ClientID(rawValue: token >> 1), token & 1 == 1)
    }
  }

  init(
    configuration: NodeConfiguration, listener: consuming PacketListener, service: borrowing ServiceManager,
    control: NodeControl, logger: Logger
  ) throws(Errno) {
    core = NodeCore(configuration: configuration, now: Clock.monotonicNanoseconds)
    self.listener = listener
    self.control = control
    self.logger = logger
    poller = try Poller()
    let inherited = InheritedSegments(
      service.segments, deadline: Clock.monotonicNanoseconds.addingClamped(configuration.claimGrace.wholeNanoseconds))
    let useless = service.useless
    descriptors = service.notifier.map {
      DescriptorStore(notifier: $0, inherited: inherited, useless: useless, logger: logger)
    }
    segments = SegmentStore(descriptors: descriptors, wake: { control.wake() })
    try poller.add(self.listener.raw, token: Token.listener, .readable)
    try poller.add(control.descriptor, token: Token.control, .readable)
  }

  func run() {
    var ready: [Poller.Readiness] = []
    while !control.isStopping {
      ready.removeAll(keepingCapacity: true)
      let now = Clock.monotonicNanoseconds
      let next = [core.ledger.nextDeadline, deafUntil, sendAgainAt, descriptors?.deadline].compactMap(\.self).min()
      let timeout = next.map { $0 > now ? $0 - now : 0 }
      do {
        _ = try poller.wait(timeoutNanoseconds: timeout) { ready.append($0) }
      } catch {
        logger.critical("the node stops: it can't wait for its clients: \(error)")
        break
      }
      segments.lookAtClocks()
      for event in ready { handle(event) }
      if let deafUntil, deafUntil <= Clock.monotonicNanoseconds { listen() }
      if let sendAgainAt, sendAgainAt <= Clock.monotonicNanoseconds { sendAgain() }
      perform(core.advance(to: Clock.monotonicNanoseconds, contents: segments))
      descriptors?.forgetUnclaimed(at: Clock.monotonicNanoseconds)
    }
    // What clients had said before the end counts: who has closed everything does not come back.
    let deadline = Clock.monotonicNanoseconds + Self.lastWordsNanoseconds
    for connection in Array(connections.values) {
      while connection.isOpen, Clock.monotonicNanoseconds < deadline, receive(from: connection) {}
    }
    listener.leavesFile = core.mayBeReturnedTo
    HandleSockets.removeAll(beside: listener.path, of: getpid())
  }

  private func handle(_ event: Poller.Readiness) {
    switch event.token {
    case Token.listener: acceptAll()
    case Token.control: finishWork()
    default:
      let (client, isProcess) = Token.client(event.token)
      guard let connection = connections[client] else { return }
      if isProcess {
        died(connection)
      } else {
        if event.writable { flush(connection) }
        if event.hungUp || event.readable && mayTakeIn(connection) { receive(from: connection) }
      }
    }
  }

  // MARK: - Clients

  /// - Returns: whether there may be more.
  @discardableResult
  private func receive(from connection: ClientConnection) -> Bool {
    let began = Clock.monotonicNanoseconds
    for turn in 0..<Self.packetsAtATime where connection.isOpen {
      if turn > 0, !mayTakeIn(connection) { return false }
      // What one packet asks for may be much.
      if Clock.monotonicNanoseconds - began > Self.turnNanoseconds { break }
      do {
        var span = buffer.mutableSpan
        // SAFETY: an array of bytes has no padding.
        var bytes = unsafe span.mutableBytes
        switch try connection.socket.receive(into: &bytes) {
        case .wouldBlock: return false
        case .closed:
          left(connection, reason: nil)
          return false
        case .damaged(let problem):
          end(connection, .malformed, problem)
          return false
        case .packet(let byteCount, let descriptor):
          if let descriptor, let problem = take(descriptor) {
            end(connection, .malformed, problem)
            return false
          }
          handlePacket(byteCount, from: connection)
          // What the message had no use for is closed.
          arrived = nil
        }
      } catch {
        left(connection, reason: "\(error)")
        return false
      }
    }
    return connection.isOpen
  }

  /// Takes the descriptor that came with a packet.
  ///
  /// - Returns: what is wrong with it, if it can't be what any message is about.
  func take(_ descriptor: consuming OwnedDescriptor) -> String? {
    do throws(Errno) {
      _ = try MemoryFile.seals(of: descriptor.raw)
      arrived = consume descriptor
      return nil
    } catch {
      ForeignDescriptors.discard(descriptor)
      return "the descriptor that came with it is no memory file's (\(error))"
    }
  }

  /// Why what came is no wake page; nil if it is one, or nothing came.
  func problemOfWakePage() -> String? {
    guard let arrived = arrived.take() else { return nil }
    do throws(MemoryError) {
      try WakePage.check(arrived)
      self.arrived = consume arrived
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func handlePacket(_ byteCount: Int, from connection: ClientConnection) {
    do throws(ProtocolError) {
      let message = try decodePacket(byteCount)
      // It goes on to publishers, so nothing else may pass.
      if message.bringsWakePage, let problem = problemOfWakePage() { return end(connection, .malformed, problem) }
      perform(core.handle(message, from: connection.id, contents: segments, now: Clock.monotonicNanoseconds))
    } catch {
      end(connection, .malformed, "\(error)")
    }
  }

  private func decodePacket(_ byteCount: Int) throws(ProtocolError) -> ClientMessage {
    // A second reference, so that the bytes can be borrowed while they are decoded; it is gone before the next packet.
    let bytes = buffer
    let packet = bytes.span.extracting(first: byteCount)
    // SAFETY: an array of bytes has no padding.
    return try ClientMessage.decode(unsafe packet.bytes)
  }

  func flush(_ connection: ClientConnection) {
    guard connection.isOpen else { return }
    if !connection.flush() { return connection.hangUp() }
    watch(connection)
  }

  func sendAgain() {
    sendAgainAt = nil
    for connection in connections.values where connection.obstacle == .descriptorsUnderWay { flush(connection) }
  }

  func watch(_ connection: ClientConnection) {
    var interest: Poller.Interest = postponed.contains(connection.id) ? [] : .readable
    switch connection.obstacle {
    case .room: interest.insert(.writable)
    // It is writable: to watch for that would be to try again without a pause.
    case .descriptorsUnderWay:
      sendAgainAt = sendAgainAt ?? Clock.monotonicNanoseconds + PacketOutbox.pauseNanoseconds
    case nil: break
    }
    try? poller.modify(connection.socket.raw, token: Token.socket(connection.id), interest)
  }

  func end(_ connection: ClientConnection, _ code: RefusalCode, _ message: String) {
    perform(core.refuse(connection.id, code, message))
  }

  /// The connection is over; the process may live on with segments mapped.
  func left(_ connection: ClientConnection, reason: String?) {
    guard connection.isOpen else { return }
    if let reason {
      logger.warning("client disconnected: \(reason)", metadata: ["client": "\(connection.id.rawValue)"])
    }
    try? poller.remove(connection.socket.raw)
    connection.close(&buffer)
    HandleSockets.remove(beside: listener.path, client: connection.id, life: core.life)
    perform(core.clientLeft(connection.id, contents: segments, now: Clock.monotonicNanoseconds))
  }

  func died(_ connection: ClientConnection) {
    // What it said last is still to be read: a segment that it reported ready holds messages. A child that it had forked may
    // talk on over its socket, and is not listened to.
    connection.hangUp()
    while connection.isOpen, receive(from: connection) {}
    if connections[connection.id] != nil { forget(connection) }
  }

  private func forget(_ connection: ClientConnection) {
    if connection.isOpen { try? poller.remove(connection.socket.raw) }
    try? poller.remove(connection.process.raw)
    connections[connection.id] = nil
    HandleSockets.remove(beside: listener.path, client: connection.id, life: core.life)
    perform(core.clientDied(connection.id, contents: segments, now: Clock.monotonicNanoseconds))
    listen()
    logger.debug("client ended", metadata: ["client": "\(connection.id.rawValue)"])
  }

  /// Nothing of the client is left here.
  func forget(_ client: ClientID) {
    guard let connection = connections.removeValue(forKey: client) else { return }
    try? poller.remove(connection.process.raw)
    listen()
  }
}

extension ClientMessage {
  /// Whether what comes with it is a subscription's wake page.
  fileprivate var bringsWakePage: Bool {
    switch self {
    case .subscribe, .rejoinSubscription: true
    default: false
    }
  }
}
