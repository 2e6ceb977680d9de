import BusProtocol
import Vocabulary

@testable import PoolNode

// How clients publish and read.

extension RestartWorld {
  /// Publishes a message if there is room, and sees to it that there will be.
  mutating func publish(_ name: Int, _ stream: StreamID) {
    guard let publisher = clients[name]?.publishers[stream] else { return }
    let unsealed = publisher.held.filter { !$0.value.isSealed }.sorted { $0.key < $1.key }
    let isAsking = clients[name]?.asked.values.contains { if case .lease(stream) = $0 { true } else { false } } == true
    if unsealed.count < 2, !isAsking { ask(name, .lease(stream)) }
    guard let (segment, held) = unsealed.first else { return }
    let identity = SegmentIdentity(id: segment, epoch: held.epoch)
    now += 1
    contents.log[identity, default: []].append(publisher.next)
    contents.times[identity, default: []].append(now)
    clients[name]?.publishers[stream]?.next += 1
    if contents.log[identity]?.count == 5 { seal(name, stream, segment) }
  }

  mutating func seal(_ name: Int, _ stream: StreamID, _ segment: SegmentID) {
    guard let held = clients[name]?.publishers[stream]?.held[segment], !held.isSealed else { return }
    let identity = SegmentIdentity(id: segment, epoch: held.epoch)
    clients[name]?.publishers[stream]?.held[segment]?.isSealed = true
    sealed[identity] = contents.committed(in: identity)
    tell(name, .sealSegment(identity))
  }

  /// Takes the next message of a stream if it is there.
  ///
  /// - Returns: whether it moved on.
  @discardableResult
  mutating func read(_ name: Int, _ id: SubscriptionID, _ stream: StreamID, borrows: Bool = false) -> Bool {
    guard var cursor = clients[name]?.readers[id]?.cursors[stream] else { return false }
    let start = cursor.expected
    if cursor.lost.contains(start), let range = cursor.lost.ranges.first(where: { $0.contains(start) }) {
      let isAlive = clients.values.contains { $0.publishers[stream] != nil }
      if isAlive { lagged += range.upperBound - start }
      cursor.expected = range.upperBound
    } else if cursor.open.contains(where: { contents.log[$0]?.contains(start) == true }) {
      cursor.expected += 1
    }
    let read = cursor.open.filter { segment in
      guard let end = cursor.ends[segment] ?? sealed[segment] else { return false }
      return contents.log[segment, default: []].prefix(Int(end)).allSatisfy { $0 < cursor.expected }
    }
    cursor.open.removeAll { read.contains($0) }
    if cursor.hasEnded, cursor.open.isEmpty {
      clients[name]?.readers[id]?.cursors[stream] = nil
      clients[name]?.readers[id]?.over[stream] = cursor
    } else {
      clients[name]?.readers[id]?.cursors[stream] = cursor
    }
    for segment in read {
      if borrows {
        clients[name]?.readers[id]?.borrowed[segment] = (stream, cursor.topic)
        tell(name, .segmentPassed(segment, by: id))
      } else {
        tell(name, .releaseSegment(segment, by: id))
      }
    }
    return cursor.expected != start || !read.isEmpty
  }

  mutating func dropBorrowed(_ name: Int, _ id: SubscriptionID) {
    guard let reader = clients[name]?.readers[id] else { return }
    for (segment, _) in reader.borrowed.sorted(by: { $0.key.id < $1.key.id }) {
      clients[name]?.readers[id]?.borrowed[segment] = nil
      tell(name, .releaseSegment(segment, by: id))
      if !reader.mappings.contains(segment.id) { tell(name, .segmentUnmapped(segment.id, by: id)) }
    }
  }
}
