import BusProtocol
import Glibc
import Logging
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// The node's one thread: waits for sockets, processes and finished work, asks ``NodeCore``, and does what it says.
final class NodeLoop {
  private var core: NodeCore
  private let listener: PacketListener
  private let poller: Poller
  private let control: NodeControl
  private let segments: SegmentStore
  private let logger: Logger
  private var connections: [ClientID: ClientConnection] = [:]
  private var buffer = [UInt8](repeating: 0, count: PacketSocket.maximumPacketByteCount)
  private var isListening = true
  private var wakePages: [SubscriptionID: ArrivedPage] = [:]
  /// The descriptor that came with the packet at hand, until an action takes it.
  private var arrived: ArrivedPage?
  /// Clients that could not be written to, to be let go of when the actions at hand are done.
  private var failed: [(ClientID, String?)] = []

  /// A subscription's wake page, which its publishers look at; the node only passes it on.
  private final class ArrivedPage {
    let descriptor: OwnedDescriptor
    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
  }

  /// How many packets of one client are taken before the others have their turn, and how long that may take.
  private static let packetsAtATime = 64
  private static let turnNanoseconds: UInt64 = 2_000_000

  private enum Token {
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
    configuration: NodeConfiguration, listener: consuming PacketListener, control: NodeControl, logger: Logger
  ) throws(Errno) {
    core = NodeCore(configuration: configuration, now: Clock.monotonicNanoseconds)
    self.listener = listener
    self.control = control
    self.logger = logger
    poller = try Poller()
    segments = SegmentStore(wake: { control.wake() })
    try poller.add(self.listener.raw, token: Token.listener, .readable)
    try poller.add(control.descriptor, token: Token.control, .readable)
  }

  func run() {
    var ready: [Poller.Readiness] = []
    while !control.isStopping {
      ready.removeAll(keepingCapacity: true)
      let now = Clock.monotonicNanoseconds
      let timeout = core.ledger.nextDeadline.map { $0 > now ? $0 - now : 0 }
      do {
        _ = try poller.wait(timeoutNanoseconds: timeout) { ready.append($0) }
      } catch {
        logger.critical("the node stops: it can't wait for its clients: \(error)")
        break
      }
      for event in ready { handle(event) }
      perform(core.advance(to: Clock.monotonicNanoseconds, contents: segments))
    }
    for client in connections.keys { HandleSockets.remove(beside: listener.path, client: client) }
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
        if event.readable || event.hungUp { receive(from: connection) }
      }
    }
  }

  // MARK: - Clients

  private func acceptAll() {
    do {
      while let socket = try listener.accept() { try admit(socket) }
    } catch {
      logger.error("a client could not join: \(error)")
      // Out of descriptors: listening on would spin. The next client to go makes room.
      if error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem { listen(false) }
    }
  }

  private func listen(_ wanted: Bool) {
    guard isListening != wanted else { return }
    isListening = wanted
    try? poller.modify(listener.raw, token: Token.listener, wanted ? .readable : [])
  }

  private func admit(_ socket: consuming PacketSocket) throws(Errno) {
    let peer = try socket.peerCredentials()
    let process = try socket.peerProcess()
    let groups = Set(try socket.peerGroups() + [peer.groupID])
    let id = core.clientConnected(
      processID: peer.processID, peer: Peer(userID: peer.userID, groupIDs: groups), now: Clock.monotonicNanoseconds)
    let connection = ClientConnection(id: id, socket: socket, process: process)
    connections[id] = connection
    do throws(Errno) {
      try poller.add(connection.socket.raw, token: Token.socket(id), .readable)
      try poller.add(connection.process.raw, token: Token.process(id), .readable)
    } catch {
      died(connection)
      throw error
    }
    perform(core.admit(id))
    logger.debug("client joined", metadata: ["client": "\(id.rawValue)", "pid": "\(peer.processID)"])
  }

  /// - Returns: whether there may be more.
  @discardableResult
  private func receive(from connection: ClientConnection) -> Bool {
    let began = Clock.monotonicNanoseconds
    for _ in 0..<Self.packetsAtATime where connection.isOpen {
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
          if let descriptor {
            if let problem = take(descriptor) {
              end(connection, .malformed, problem)
              return false
            }
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
  private func take(_ descriptor: consuming OwnedDescriptor) -> String? {
    do throws(Errno) {
      _ = try MemoryFile.seals(of: descriptor.raw)
      arrived = ArrivedPage(descriptor)
      return nil
    } catch {
      ForeignDescriptors.discard(descriptor)
      return "the descriptor that came with it is no memory file's (\(error))"
    }
  }

  private func handlePacket(_ byteCount: Int, from connection: ClientConnection) {
    do throws(ProtocolError) {
      let message = try decodePacket(byteCount)
      // It goes on to publishers, so nothing else may pass.
      if case .subscribe = message, let arrived {
        do throws(MemoryError) {
          try WakePage.check(arrived.descriptor)
        } catch {
          return end(connection, .malformed, "\(error)")
        }
      }
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

  private func flush(_ connection: ClientConnection) {
    guard connection.isOpen else { return }
    if !connection.flush() {
      hearOut(connection)
      return left(connection, reason: nil)
    }
    if !connection.waitsToSend { watch(connection, .readable) }
  }

  private func watch(_ connection: ClientConnection, _ interest: Poller.Interest) {
    try? poller.modify(connection.socket.raw, token: Token.socket(connection.id), interest)
  }

  private func end(_ connection: ClientConnection, _ code: RefusalCode, _ message: String) {
    perform(core.refuse(connection.id, code, message))
  }

  /// Reads what a client said before it hung up: which segments it has unmapped, for one. No queue holds more packets.
  private func hearOut(_ connection: ClientConnection) {
    connection.isDeaf = true
    for _ in 0..<64 {
      guard connection.isOpen, receive(from: connection) else { return }
    }
  }

  /// The connection is over; the process may live on with segments mapped.
  private func left(_ connection: ClientConnection, reason: String?) {
    guard connection.isOpen else { return }
    if let reason {
      logger.warning("client disconnected: \(reason)", metadata: ["client": "\(connection.id.rawValue)"])
    }
    try? poller.remove(connection.socket.raw)
    connection.close(&buffer)
    HandleSockets.remove(beside: listener.path, client: connection.id)
    perform(core.clientLeft(connection.id, contents: segments, now: Clock.monotonicNanoseconds))
  }

  private func died(_ connection: ClientConnection) {
    // What it said last is still to be read: a segment that it reported ready holds messages.
    while connection.isOpen, receive(from: connection) {}
    if connection.isOpen { try? poller.remove(connection.socket.raw) }
    try? poller.remove(connection.process.raw)
    connections[connection.id] = nil
    HandleSockets.remove(beside: listener.path, client: connection.id)
    perform(core.clientDied(connection.id, contents: segments, now: Clock.monotonicNanoseconds))
    listen(true)
    logger.debug("client ended", metadata: ["client": "\(connection.id.rawValue)"])
  }

  /// Nothing of the client is left here.
  private func forget(_ client: ClientID) {
    guard let connection = connections.removeValue(forKey: client) else { return }
    try? poller.remove(connection.process.raw)
    listen(true)
  }

  // MARK: - Work

  private func finishWork() {
    control.clear()
    for creation in segments.takeFinished() {
      let now = Clock.monotonicNanoseconds
      switch creation.result {
      case .success(let segment):
        // Destroyed while it was being made: its publisher has gone.
        guard core.segments[creation.segment] != nil else {
          segments.discard(segment)
          continue
        }
        segments.keep(segment, as: creation.segment)
        perform(core.segmentCreated(creation.segment, contents: segments, now: now))
      case .failure(let error):
        logger.error("a segment could not be made: \(error)")
        perform(core.segmentCreationFailed(creation.segment, contents: segments, now: now))
      }
    }
  }

  private func perform(_ actions: [NodeAction]) {
    for action in actions {
      switch action {
      case .send(let message, let client, let attachment): send(message, to: client, attachment)
      case .create(let segment, let capacity): segments.create(segment, capacity: capacity)
      case .destroy(let segment): segments.destroy(segment)
      case .sealAgainstFurtherWriters(let segment):
        do throws(MemoryError) {
          try segments[segment]?.file.sealAgainstFurtherWriters()
        } catch {
          logger.error("\(segment) could not be sealed against further writers: \(error)")
        }
      case .keepWakePage(let subscription): wakePages[subscription] = arrived
      case .dropWakePage(let subscription): wakePages[subscription] = nil
      case .forgetClient(let client): forget(client)
      case .disconnect(let client, let reason): failed.append((client, reason))
      }
    }
    if !core.ledger.isConserved {
      logger.critical("the ledger does not sum to the contribution: \(core.ledger.violations())")
    }
    while let (client, reason) = failed.popLast() {
      guard let connection = connections[client] else { continue }
      if reason == nil { hearOut(connection) }
      left(connection, reason: reason)
    }
  }

  private func send(_ message: NodeMessage, to client: ClientID, _ attachment: Attachment?) {
    guard let connection = connections[client], connection.isOpen, !connection.isDeaf else { return }
    let descriptor: CInt?
    switch attachment {
    case .none: descriptor = nil
    case .writable(let segment): descriptor = segments[segment]?.file.raw
    case .readOnly(let segment): descriptor = segments[segment]?.readOnly.raw
    case .wakePage(let subscription): descriptor = wakePages[subscription]?.descriptor.raw
    }
    guard connection.send(message, descriptor: descriptor) else {
      failed.append((client, connection.waitsToSend ? "it leaves the node's messages unread" : nil))
      return
    }
    guard connection.waitsToSend else { return }
    watch(connection, [.readable, .writable])
    if descriptor != nil, hasTooManyUnread(connection) {
      failed.append((client, "it leaves more descriptors unread than it may"))
    }
  }

  private func hasTooManyUnread(_ connection: ClientConnection) -> Bool {
    if connection.unreadDescriptors > core.configuration.clientLimits.unreadDescriptors { return true }
    guard let most = core.unreadDescriptorQuota(of: connection.id), let user = core.clients[connection.id]?.peer.userID
    else { return false }
    return connections.values.reduce(0) { sum, other in
      core.clients[other.id]?.peer.userID == user ? sum + other.unreadDescriptors : sum
    } > most
  }
}
