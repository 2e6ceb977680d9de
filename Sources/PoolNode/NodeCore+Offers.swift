import BusProtocol
import Ledger
import Vocabulary

/// What came of looking at memory that a client offered.
enum OfferedMemory: Equatable {
  /// It is a segment's; the store has it.
  case sound
  /// Others have offered other memory as the same segment.
  case differs
  /// It can't be a segment of the pool; why.
  case unsound(String)
}

/// The segments with which clients of the node before return.
extension NodeCore {
  /// A client has a segment: its memory must be looked at before anything is believed.
  mutating func offer(_ offer: OfferSegment, from client: ClientID) -> [NodeAction] {
    let id = offer.segment.id
    if let refusal = refuseReturn(of: id, to: client) { return refusal }
    guard let topic = topic(of: offer, by: client) else { return refuse(client, ReturnRefusal.notTheirs, id) }
    switch offer.use {
    case .reading:
      // Of a reader and others, who knows which one lies; it reads on what it has.
      if contradictsBooks(offer) { return [] }
      return [.examine(offer, of: topic, from: client, overrules: false)]
    case .writing:
      // A publisher knows better than its subscribers which memory is its segment.
      let overrules = ledger.isOfferedByReadersOnly(id)
      if contradictsBooks(offer), !overrules { return refuse(client, ReturnRefusal.contradiction, id) }
      return [.examine(offer, of: topic, from: client, overrules: overrules)]
    }
  }

  /// Which topic the stream of an offer is of by the client's word; nil if it may not speak of it.
  private func topic(of offer: OfferSegment, by client: ClientID) -> TopicName? {
    let stream = streams[offer.stream]
    switch offer.use {
    case .writing: return stream?.client == client ? stream?.topic : nil
    case .reading(let id, _):
      guard let subscription = subscriptions[id], subscription.client == client else { return nil }
      return subscription.told[offer.stream] ?? stream?.topic
    }
  }

  private func contradictsBooks(_ offer: OfferSegment) -> Bool {
    segments[offer.segment.id].map { $0.stream != offer.stream || $0.capacity != offer.capacity } ?? false
  }

  mutating func offerExamined(
    _ offer: OfferSegment, of topic: TopicName, from client: ClientID, _ memory: OfferedMemory,
    contents: some SegmentContents, now: UInt64
  ) -> [NodeAction] {
    let id = offer.segment.id
    switch memory {
    case .sound: break
    case .unsound(let problem):
      return refuse(client, .notPermitted, "\(id) can't be taken back: \(problem)")
    case .differs:
      // Of two readers, who knows which one lies; each reads on what it has.
      if case .reading = offer.use, ledger.isOfferedByReadersOnly(id) { return [] }
      return refuse(client, .notPermitted, "\(id) can't be taken back: another client has other memory for it")
    }
    // The store has the publisher's memory now, and readers were wrong about more than that.
    if case .writing = offer.use, contradictsBooks(offer), ledger.disown(id) { forget(id) }
    let isNew = segments[id] == nil
    do throws(ReturnRefusal) {
      let decided: [LedgerAction]
      switch offer.use {
      case .writing(let isSealed):
        _ = end(of: offer.segment, offer.stream, contents: contents)
        decided = try ledger.adopt(
          offer.segment, capacity: offer.capacity, writtenBy: offer.stream,
          sealedSlots: isSealed ? contents.committed(in: offer.segment) : nil, now: now)
      case .reading(let subscription, let progress):
        try ledger.expect(offer.stream, provenOf: topic, until: graceEnd(now))
        streams[offer.stream, default: StreamRecord(topic: topic, client: .nobody)].topic = topic
        // Which life that is, its publisher wrote there. It may have gone on already, with nobody left to say so: of another
        // life than it speaks of the reader only has the memory.
        let life = contents.currentLife(of: SegmentIdentity(id: id, epoch: 1))
        decided = try ledger.adopt(
          life, capacity: offer.capacity, of: offer.stream, readBy: subscription,
          life == offer.segment ? progress : nil, slots: contents.committed(in: life), now: now)
      }
      if isNew {
        segments[id] = SegmentRecord(stream: offer.stream, capacity: offer.capacity)
        streams[offer.stream]?.segmentCount += 1
      }
      return execute(decided, contents: contents, now: now)
    } catch {
      let dropping = isNew ? [NodeAction.destroy(id)] : []
      // As above.
      if case .reading = offer.use, error == .contradiction { return dropping }
      return dropping + refuse(client, error, id)
    }
  }
}
