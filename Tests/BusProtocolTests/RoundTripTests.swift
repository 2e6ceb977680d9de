import BusProtocol
import Testing
import Vocabulary

@Suite struct RoundTripTests {
  static let seeds: [UInt64] = [1, 2, 3, .random(in: 4...(.max))]

  @Test(arguments: seeds)
  func `every message comes back as it went`(seed: UInt64) throws {
    var samples = Samples(seed: seed)
    for _ in 0..<20 {
      for message in samples.clientMessages() {
        #expect(try ClientMessage.decode(message.encoded()) == message)
      }
      for message in samples.nodeMessages() {
        let bytes = try message.encoded()
        #expect(bytes.count <= NodeMessage.maximumByteCount)
        #expect(try NodeMessage.decode(bytes) == message)
      }
    }
  }

  @Test func `a snapshot of any size travels in packets`() throws {
    var samples = Samples(seed: 5)
    for rowCount in [0, 1, 10, 96, 200] {
      let snapshot = samples.snapshot(rowCount: rowCount)
      let parts = snapshot.split(request: 7)
      var assembler = SnapshotAssembler()
      for (index, part) in parts.enumerated() {
        guard case .snapshot(let decoded) = try NodeMessage.decode(NodeMessage.snapshot(part).encoded())
        else {
          Issue.record("a snapshot came back as another message")
          return
        }
        #expect(decoded.request == 7)
        let whole = assembler.add(decoded)
        #expect(whole == (index == parts.count - 1 ? snapshot : nil))
      }
    }
  }

  @Test func `the largest rows fit a packet`() throws {
    let text = String(repeating: "x", count: 255)
    let row = StreamRow(
      stream: StreamID(rawValue: .max), client: ClientID(rawValue: .max), topic: try TopicName(text),
      handleEndpoint: text, lastSequence: .max, segments: .max, bytes: .max, openedNanosecondsAgo: .max)
    var samples = Samples(seed: 1)
    var pool = samples.poolRow()
    pool.hugePages = text
    let rows = Array(repeating: row, count: SnapshotPart.maximumRowCount)
    let parts = Snapshot(pool: pool, streams: rows).split(request: .max)
    #expect(parts.count == 1)
    #expect(try parts.map { try NodeMessage.snapshot($0).encoded().count }.allSatisfy { $0 <= 65_536 })
  }

  @Test(arguments: [0, 1, 2048, 2049, 4096, 10_000])
  func `a lag of any length travels in packets`(rangeCount: Int) throws {
    var samples = Samples(seed: UInt64(rangeCount))
    let lagged = samples.lagged(rangeCount: rangeCount)
    var ranges: [ClosedRange<UInt64>] = []
    var bytes: UInt64 = 0
    for part in lagged.split() {
      let message = NodeMessage.lagged(part)
      #expect(try NodeMessage.decode(message.encoded()) == message)
      ranges += part.ranges
      bytes += part.bytes
    }
    #expect(ranges == lagged.ranges)
    #expect(bytes == lagged.bytes)
  }

  @Test func `a lag counts its messages without overflow`() {
    func count(_ ranges: [ClosedRange<UInt64>]) -> UInt64 {
      Lagged(subscription: .init(rawValue: 1), stream: .init(rawValue: 1), ranges: ranges, bytes: 0).messageCount
    }
    #expect(count([]) == 0)
    #expect(count([1...1, 5...9]) == 6)
    #expect(count([0...(.max)]) == .max)
    #expect(count([1...(.max), 1...(.max)]) == .max)
  }

  @Test func `timeouts and limits at their edges keep their meaning`() throws {
    func travelled(_ policy: FullPolicy, _ retention: Retention?) throws -> OpenPublisher? {
      let open = OpenPublisher(request: 1, topic: try TopicName("a"), whenFull: policy, retention: retention)
      guard
        case .openPublisher(let decoded) = try ClientMessage.decode(
          ClientMessage.openPublisher(open).encoded())
      else { return nil }
      return decoded
    }
    #expect(try travelled(.wait(timeout: .zero), nil)?.whenFull == .wait(timeout: .nanoseconds(1)))
    #expect(try travelled(.wait(timeout: .seconds(-3)), nil)?.whenFull == .wait(timeout: .nanoseconds(1)))
    #expect(
      try travelled(.wait(timeout: .seconds(Int64.max)), nil)?.whenFull == .wait(timeout: .nanoseconds(Int64.max)))
    #expect(try travelled(.fail, nil)?.retention == nil)
    #expect(try travelled(.fail, Retention.none)?.retention == Retention.none)
    #expect(try travelled(.fail, Retention(messages: 0, bytes: 5))?.retention == Retention.none)
    #expect(try travelled(.fail, Retention(messages: 4, age: .zero))?.retention == Retention.none)
  }

  @Test func `texts for people are cut, not refused`() throws {
    let long = String(repeating: "日", count: 2000) + "\0"
    let bytes = try NodeMessage.refusal(Refusal(request: 0, code: .limit, message: long)).encoded()
    let cut = String(repeating: "日", count: 1365)
    #expect(
      try NodeMessage.decode(bytes) == .refusal(Refusal(request: 0, code: .limit, message: cut)))
  }
}
