import Logging
import Platform
import PooledMemory
import Vocabulary

// Who joins, and who has to wait until the node has descriptors for what they bring.

extension NodeLoop {
  func acceptAll() {
    do throws(Errno) {
      for _ in 0..<Self.packetsAtATime {
        guard let socket = try listener.accept() else { break }
        do throws(Errno) {
          try admit(socket)
        } catch {
          if error.isShortage { throw error }
          // Else it is the client's own trouble: it may be gone already.
          logger.warning("a client could not be let in: \(error)")
        }
      }
      reviewShortage()
    } catch {
      if error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem {
        putOff("clients can't join: \(error)")
      } else {
        logger.error("clients can't join: \(error)")
      }
      // Out of descriptors, as a rule. Clients that go and segments that are closed make room, and so may a new limit.
      deafUntil = Clock.monotonicNanoseconds + Self.deafNanoseconds
      try? poller.modify(listener.raw, token: Token.listener, [])
    }
  }

  /// Whether what a client says can be taken in. What one brings back comes with its memory, and whoever has no descriptor
  /// for that loses it: so the client waits until there are some.
  func mayTakeIn(_ connection: ClientConnection) -> Bool {
    guard core.clients[connection.id]?.isReturning == true,
      !DescriptorLimit.leaves(Self.descriptorsToTakeIn, beside: listener.raw)
    else {
      return true
    }
    putOff("clients that come back have to wait")
    postponed.insert(connection.id)
    watch(connection)
    deafUntil = deafUntil ?? Clock.monotonicNanoseconds + Self.deafNanoseconds
    return false
  }

  /// Says that somebody has to wait for descriptors: once, however long that lasts.
  private func putOff(_ what: String) {
    guard shortage.begin(now: Clock.monotonicNanoseconds) else { return }
    logger.error("\(what): this process has too few descriptors left; raise its limit")
  }

  private func reviewShortage() {
    guard shortage.isOn, DescriptorLimit.leaves(Self.descriptorsToTakeIn, beside: listener.raw),
      let duration = shortage.end(now: Clock.monotonicNanoseconds)
    else { return }
    logger.notice(
      "there are descriptors again, and clients need not wait any more; they had to for \(duration / 1_000_000) ms")
  }

  func listen() {
    guard deafUntil != nil else { return }
    deafUntil = nil
    reviewShortage()
    try? poller.modify(listener.raw, token: Token.listener, .readable)
    let waiting = postponed
    postponed = []
    for client in waiting {
      if let connection = connections[client], connection.isOpen { watch(connection) }
    }
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
}
