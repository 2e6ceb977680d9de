import Vocabulary

@testable import PoolBus
@testable import PooledMemory

private let memories = [ScribbledSegment(1), ScribbledSegment(2), ScribbledSegment(3)]

/// Whatever a publisher writes, and in whatever order segments are handed, renewed, sealed and taken, a subscription's
/// cursor goes forward only, comes to an end, and then holds nothing.
///
/// Input: steps, each a byte that says which and to which segment, and what the step takes.
func fuzzCursor(_ bytes: RawSpan) {
  guard let topic = try? TopicName("a") else { return }
  var input = InputReader(bytes)
  for memory in memories {
    memory.clear()
    memory.store(sealed: EpochCount(epoch: 1, count: 0).word)
  }
  var walk = Walk(topic: topic, firstSequence: UInt64(input.byte() & 3))
  while !input.isAtEnd { walk.step(&input) }
  walk.end()
}

/// A cursor on its way, and what it was given.
private struct Walk {
  private let topic: TopicName
  private var cursor: StreamCursor
  private var epochs: [UInt32]
  /// What was read and is held on to, as samples are.
  private var borrowed: [StreamCursor.Message] = []
  private var handed = 0
  private let held: [HeldSegment]

  init(topic: TopicName, firstSequence: UInt64) {
    self.topic = topic
    cursor = StreamCursor(topic: topic, stream: StreamID(rawValue: 1), firstSequence: firstSequence)
    epochs = memories.map { _ in 1 }
    let doze = try? Doze()
    held = memories.enumerated().map { index, memory in
      HeldSegment(
        mapping: memory.mapping, stream: StreamID(rawValue: 1), place: WakePage.firstPlace + UInt32(index),
        subscription: SubscriptionID(rawValue: 1), doze: doze, node: nil)
    }
  }

  mutating func step(_ input: inout InputReader) {
    let kind = input.byte()
    let place = Int(kind >> 4) % memories.count
    let (memory, epoch) = (memories[place], epochs[place])
    switch kind & 15 {
    case 0, 1: hand(place)
    case 2:
      // The segment's next life.
      epochs[place] += 1
      hand(place)
    case 3, 4, 5:
      let start = UInt64(SegmentLayout.headerByteCount)
      let entry = SlotEntry(
        sequence: input.number(), offset: start + 64 * UInt64(input.byte() & 63), byteCount: UInt64(input.byte()),
        publishTime: 0, attributesOffset: start, attributesByteCount: 0, elementStride: 0)
      memory.store(entry, at: UInt32(input.byte() & 7), epoch: epoch)
    case 6: memory.store(committed: EpochCount(epoch: epoch, count: UInt32(input.byte() & 15)).word)
    case 7: memory.store(sealed: EpochCount(epoch: epoch, count: UInt32(input.byte() & 15)).word)
    case 8:
      let identity = SegmentIdentity(id: memory.mapping.id, epoch: epoch)
      held[place].sealed(epoch)
      cursor.sealed(identity, slots: UInt32(input.byte() & 15))
    case 9:
      let (first, second) = (input.number(), input.number())
      cursor.lose(min(first, second)...max(first, second))
    case 10: cursor.drop(memory.mapping.id)
    case 11: cursor.end()
    case 12: borrowed.removeAll()
    default: read(limit: Int(input.byte() & 7) + 1)
    }
  }

  private mutating func hand(_ place: Int) {
    handed += 1
    cursor.add(held[place], epoch: epochs[place])
  }

  /// Reads until nothing is there; a limit of 1 takes messages one by one.
  private mutating func read(limit: Int) {
    // Each look takes a slot, a segment or a lost range, and there are no more of these.
    for _ in 0..<1 + handed * Int(ScribbledSegment.slotCount + 2) + 1024 {
      let before = cursor.expected
      if let message = cursor.takeAtHand(limit: limit) {
        require(message.slot.sequence == before, "message \(message.slot.sequence) came where \(before) was awaited")
        require(cursor.expected > before, "it went from \(before) to \(cursor.expected)")
        borrowed.append(message)
        continue
      }
      // A slot that no word counts: its publisher is about to count it, or dead, of which the node tells.
      let isQuiet = cursor.isQuiet && !memories.contains(where: \.hasUncounted)
      let found = cursor.look()
      if case .nothing = found { return }
      require(!isQuiet, "a look found something where there was said to be nothing new")
      switch found {
      case .message(let index, let slot):
        require(slot.sequence >= before, "message \(slot.sequence) comes after \(before) was awaited")
        plant(handed > 1 && slot.sequence > 4 && limit > 1, "a run in a second segment")
        let message = cursor.take(slot, at: index, limit: limit)
        require(message.count > 0 && message.count <= limit, "\(message.count) messages where \(limit) are wanted")
        borrowed.append(message)
        require(cursor.expected > before || before == .max, "it went from \(before) to \(cursor.expected)")
      case .lagged(let range):
        require(range.lowerBound == before, "a lag of \(range), where \(before) is awaited")
        cursor.skip(range)
        require(cursor.expected > range.upperBound, "a lag was not passed")
      case .corrupt(let index, _): cursor.skipCorrupt(at: index)
      case .nothing, .finished: return
      }
      require(cursor.expected >= before, "it went back from \(before) to \(cursor.expected)")
    }
    fail("reading does not come to an end")
  }

  mutating func end() {
    read(limit: 1)
    cursor.dropAll()
    borrowed.removeAll()
    require(held.allSatisfy { $0.lastBorrowed == nil }, "a segment is held, and nobody holds it")
  }
}
