import BusProtocol
import Vocabulary

@testable import PoolNode

// How clients take what the node says.

extension RestartWorld {
  /// Takes one message from the node.
  mutating func hear(_ name: Int) {
    guard clients[name]?.inbox.isEmpty == false, let message = clients[name]?.inbox.removeFirst() else { return }
    switch message {
    case .publisherOpened(let opened):
      guard case .publisher(let topic)? = clients[name]?.asked.removeValue(forKey: opened.request) else { break }
      clients[name]?.publishers[opened.stream] = Publisher(topic: topic, opened: now)
    case .subscribed(let subscribed):
      guard case .subscription(let pattern)? = clients[name]?.asked.removeValue(forKey: subscribed.request) else {
        break
      }
      let ends = clients.values.flatMap(\.publishers).map { ($0.key, $0.value.next) }
      clients[name]?.readers[subscribed.subscription] = Reader(
        pattern: pattern, joined: now, ends: Dictionary(uniqueKeysWithValues: ends))
    case .leaseGranted(let granted): begin(name, granted)
    case .refusal(let refusal):
      clients[name]?.asked[refusal.request] = nil
      if refusal.code != .cancelled { complaints.append("client \(name) was refused: \(refusal.message)") }
    case .giveBack(let stream):
      for segment in (clients[name]?.publishers[stream]?.held ?? [:]).keys.sorted() { seal(name, stream, segment) }
    case .forgetSegment(let segment, .none):
      for (stream, publisher) in clients[name]?.publishers ?? [:] where publisher.held[segment]?.isSealed == true {
        clients[name]?.publishers[stream]?.held[segment] = nil
        tell(name, .segmentUnmapped(segment, by: nil))
      }
    case .subscriberJoined(let joined):
      clients[name]?.publishers[joined.stream]?.listeners.insert(joined.subscription)
    case .subscriberLeft(let id, let stream, _): clients[name]?.publishers[stream]?.listeners.remove(id)

    case .streamIntroduced(let introduced):
      guard let reader = clients[name]?.readers[introduced.subscription], reader.cursors[introduced.stream] == nil
      else {
        break
      }
      let isLater = introduced.stream.rawValue > introduced.subscription.rawValue
      let isNew = reader.over[introduced.stream] == nil
      if isNew, introduced.firstSequence > reader.ends[introduced.stream] ?? (isLater ? 1 : .max) {
        complaints.append("\(introduced) to who was there before")
      }
      if let over = reader.over[introduced.stream], over.mayReturn, introduced.firstSequence != over.expected {
        complaints.append("\(introduced) to who had read on to \(over.expected)")
      }
      clients[name]?.readers[introduced.subscription]?.over[introduced.stream] = nil
      clients[name]?.readers[introduced.subscription]?.cursors[introduced.stream] = Cursor(
        topic: introduced.topic, expected: introduced.firstSequence)
    case .segmentHanded(let handed):
      guard let reader = clients[name]?.readers[handed.subscription], reader.cursors[handed.stream] != nil else {
        // An earlier node had ended the stream, and did not know that others had more of it.
        if clients[name]?.readers[handed.subscription]?.over.keys.contains(handed.stream) != true {
          complaints.append("\(handed.segment) was handed of a stream that was not introduced")
        }
        tell(name, .segmentUnmapped(handed.segment.id, by: handed.subscription))
        break
      }
      clients[name]?.readers[handed.subscription]?.cursors[handed.stream]?.open.append(handed.segment)
      clients[name]?.readers[handed.subscription]?.mappings.insert(handed.segment.id)
    case .segmentSealed(let told):
      clients[name]?.readers[told.subscription]?.cursors[told.stream]?.ends[told.segment] = told.slots
    case .streamEnded(let ended):
      clients[name]?.readers[ended.subscription]?.cursors[ended.stream]?.hasEnded = true
      clients[name]?.readers[ended.subscription]?.cursors[ended.stream]?.mayReturn = ended.mayReturn
    case .forgetSegment(let segment, .some(let id)): forget(name, segment, by: id)
    case .lagged(let lagged):
      for range in lagged.ranges {
        clients[name]?.readers[lagged.subscription]?.cursors[lagged.stream]?.lost.insert(
          contentsOf: range.lowerBound..<(range.upperBound + 1))
      }
    case .welcome, .snapshot, .retention, .quota, .segmentPromised: break
    }
  }

  mutating func begin(_ name: Int, _ granted: LeaseGranted) {
    clients[name]?.asked[granted.request] = nil
    for (other, client) in clients {
      for (id, reader) in client.readers {
        let reads =
          reader.cursors.values.contains { $0.open.contains { $0.id == granted.segment.id } }
          || reader.borrowed.keys.contains { $0.id == granted.segment.id }
        if reads { complaints.append("\(granted.segment) is written anew while \(id) of client \(other) reads it") }
      }
    }
    clients[name]?.publishers[granted.stream]?.held[granted.segment.id] = Held(epoch: granted.segment.epoch)
    contents.renewed[granted.segment.id] = granted.segment.epoch
    contents.log[granted.segment] = []
    contents.times[granted.segment] = []
    tell(name, .segmentReady(granted.segment))
  }

  mutating func forget(_ name: Int, _ segment: SegmentID, by id: SubscriptionID) {
    guard let reader = clients[name]?.readers[id] else { return }
    for (stream, cursor) in reader.cursors {
      for identity in cursor.open where identity.id == segment {
        clients[name]?.readers[id]?.cursors[stream]?.open.removeAll { $0 == identity }
        tell(name, .releaseSegment(identity, by: id))
      }
    }
    guard clients[name]?.readers[id]?.mappings.remove(segment) != nil else { return }
    if !reader.borrowed.keys.contains(where: { $0.id == segment }) { tell(name, .segmentUnmapped(segment, by: id)) }
  }
}
