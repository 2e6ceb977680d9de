import PooledMemory
import Vocabulary

// Which of a subscription's streams has the next message.

extension SubscriptionCore.State {
  func cursor(of stream: StreamID) -> Int? { cursors.firstIndex { $0.stream == stream } }

  /// As ``cursor(of:)``; one that was read to its end, as it seemed, is there again.
  mutating func cursorReturning(of stream: StreamID) -> Int? {
    if let index = cursor(of: stream) { return index }
    guard let cursor = departed.remove(stream) else { return nil }
    cursors.append(cursor)
    return cursors.count - 1
  }

  mutating func turn(to index: Int) {
    turn = index
    takenInTurn = 0
    turnLength = SubscriptionCore.shortestTurn
  }

  /// Looks for a message: in the stream whose turn it is, unless that is over, then in others, and then in that again.
  mutating func search(
    _ limit: Int, others: Int, isTurnOver: Bool
  ) throws(BusError) -> StreamCursor.Message? {
    if let failure {
      self.failure = nil
      throw failure
    }
    if !isTurnOver, let message = try take(from: turn, limit) { return message }
    var remaining = min(others, cursors.count)
    while remaining > 0 {
      if patrol >= cursors.count { patrol = 0 }
      let index = patrol
      patrol += 1
      remaining -= 1
      if isTurnOver, index == turn { continue }
      if let message = try take(from: index, limit) {
        turn(to: index)
        takenInTurn = message.count
        return message
      }
    }
    if isTurnOver {
      takenInTurn = 0
      turnLength = min(2 * turnLength, SubscriptionCore.longestTurn)
      if let message = try take(from: turn, limit) { return message }
    }
    if let ended { throw ended }
    return nil
  }

  private mutating func take(from index: Int, _ limit: Int) throws(BusError) -> StreamCursor.Message? {
    guard index < cursors.count, !cursors[index].isQuiet else { return nil }
    switch cursors[index].look() {
    case .message(let segment, let slot):
      let message = cursors[index].take(slot, at: segment, limit: limit)
      takenInTurn += message.count
      return message
    case .lagged(let range):
      cursors[index].skip(range)
      let lag = Lag(topic: cursors[index].topic, stream: cursors[index].stream, sequences: range)
      lagged &+= lag.messages
      throw .lagged(lag)
    case .corrupt(let segment, let error):
      cursors[index].skipCorrupt(at: segment)
      throw .corruptSegment("\(cursors[index].topic), \(error)")
    case .nothing:
      return nil
    case .finished:
      let cursor = cursors.remove(at: index)
      // Those behind it move up: none is to be missed, lest the end be told before all is read.
      if patrol > index { patrol -= 1 }
      if turn > index { turn -= 1 }
      if cursor.mayReturn { departed.add(cursor) }
      return nil
    }
  }

  /// Whether ``SubscriptionCore/take(limit:looks:_:)`` would return or throw something; what has it is next.
  var isReady: Bool {
    mutating get {
      if failure != nil || ended != nil { return true }
      for index in cursors.indices {
        if cursors[index].isQuiet { continue }
        switch cursors[index].look() {
        case .message, .lagged, .corrupt:
          turn(to: index)
          return true
        case .nothing, .finished: continue
        }
      }
      return false
    }
  }
}
