import BusProtocol
import Logging
import Platform
import PooledMemory
import Vocabulary

// Work that has been finished, and what the core decides: done here.

extension NodeLoop {
  func finishWork() {
    control.clear()
    for creation in segments.takeFinished() {
      let now = Clock.monotonicNanoseconds
      switch creation.result {
      case .success(let segment):
        // Destroyed while it was being made: its stream was away, and has been given up.
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

  func perform(_ actions: [NodeAction]) {
    for action in actions {
      switch action {
      case .send(let message, let client, let attachment): send(message, to: client, attachment)
      case .create(let segment, let origin, let capacity): segments.create(segment, of: origin, capacity: capacity)
      case .destroy(let segment): segments.destroy(segment)
      case .sealAgainstFurtherWriters(let segment):
        do throws(MemoryError) {
          try segments[segment]?.file.sealAgainstFurtherWriters()
        } catch {
          logger.error("\(segment) could not be sealed against further writers: \(error)")
        }
      case .examine(let offer, let topic, let client, let overrules):
        examine(offer, of: topic, from: client, overrules: overrules)
      case .keepWakePage(let subscription):
        if let page = arrived.take() { segments.keepWakePage(page, of: subscription) }
      case .dropWakePage(let subscription): segments.dropWakePage(of: subscription)
      case .forgetClient(let client): forget(client)
      case .disconnect(let client, let reason): failed.append((client, reason))
      }
    }
    if !core.ledger.isConserved || core.ledger.isOutOfBalance { tellImbalance() }
    while let (client, reason) = failed.popLast() {
      if let connection = connections[client] { left(connection, reason: reason) }
    }
  }

  func examine(_ offer: OfferSegment, of topic: TopicName, from client: ClientID, overrules: Bool) {
    let memory = segments.examine(offer, of: topic, arrived.take(), overrules: overrules)
    let wasBeyond = core.ledger.beyond
    perform(
      core.offerExamined(
        offer, of: topic, from: client, memory, contents: segments, now: Clock.monotonicNanoseconds))
    if wasBeyond == 0, core.ledger.beyond > 0 {
      logger.warning(
        "clients have brought back more than this node contributes; the pool is larger until they give memory back",
        metadata: ["contribution": "\(core.configuration.contribution)", "beyond": "\(core.ledger.beyond)"])
    }
  }

  /// Says once, loudly, that the books are wrong; the ledger leases nothing from then on.
  func tellImbalance() {
    guard !hasToldImbalance else { return }
    hasToldImbalance = true
    logger.critical(
      "the ledger does not sum to the contribution; nothing is leased any more",
      metadata: [
        "violations": .array(core.ledger.violations().map { "\($0)" }),
        "last steps": .array(core.ledger.lastSteps.map { "\($0)" }),
      ])
  }

  func send(_ message: NodeMessage, to client: ClientID, _ attachment: Attachment?) {
    guard let connection = connections[client], connection.isOpen else { return }
    let descriptor: CInt?
    switch attachment {
    case .none: descriptor = nil
    case .writable(let segment): descriptor = segments[segment]?.file.raw
    case .readOnly(let segment): descriptor = segments[segment]?.readOnly.raw
    case .wakePage(let subscription): descriptor = segments.wakePage(of: subscription)
    }
    guard connection.send(message, descriptor: descriptor) else {
      if connection.waitsToSend {
        logger.warning(
          "client disconnected: it leaves the node's messages unread", metadata: ["client": "\(client.rawValue)"])
      }
      return connection.hangUp()
    }
    guard connection.waitsToSend else { return }
    watch(connection)
    if descriptor != nil, hasTooManyUnread(connection) {
      failed.append((client, "it leaves more descriptors unread than it may"))
    }
  }

  func hasTooManyUnread(_ connection: ClientConnection) -> Bool {
    if connection.unreadDescriptors > core.configuration.clientLimits.unreadDescriptors { return true }
    guard let most = core.unreadDescriptorQuota(of: connection.id), let user = core.clients[connection.id]?.peer.userID
    else { return false }
    return connections.values.reduce(0) { sum, other in
      core.clients[other.id]?.peer.userID == user ? sum + other.unreadDescriptors : sum
    } > most
  }
}
