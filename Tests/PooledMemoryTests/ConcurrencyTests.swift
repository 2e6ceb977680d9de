import Glibc
import PooledMemory
import Synchronization
import Testing
import Vocabulary

@Suite struct ConcurrencyTests {
  /// One publisher and two subscribers at full speed: every message, in order, every byte.
  @Test func readersKeepUpWithAWriter() throws {
    let messageCount: UInt64 = 200_000
    let segment = try OpenSegment(capacity: 32 << 20)
    let writer = segment.writer
    let reader = segment.reader
    let faults = Mutex<[String]>([])
    let messagesRead = Atomic<UInt64>(0)

    let publish: @Sendable () -> Void = {
      for sequence in 1...messageCount {
        let byteCount = Self.byteCount(of: sequence)
        guard let room = writer.reserve(byteCount: byteCount) else {
          return faults.withLock { $0.append("no room for message \(sequence)") }
        }
        // SAFETY: the only span of this reservation.
        var span = unsafe writer.mutableBytes(of: room)
        unsafe span.withUnsafeMutableBytes { target in
          for index in 0..<byteCount { unsafe target[index] = Self.byte(index, of: sequence) }
        }
        writer.commit(room, byteCount: byteCount, sequence: sequence, publishTime: ~sequence, elementStride: 0)
      }
      writer.seal()
    }
    let subscribe: @Sendable () -> Void = {
      var next: UInt32 = 0
      while true {
        // In this order: a log that is sealed first and counted then is counted whole.
        let isSealed = reader.sealedCount != nil
        let committed = reader.committed
        if next == committed {
          if isSealed { break }
          sched_yield()
        }
        while next < committed {
          do throws(CorruptSegment) {
            let slot = try reader.slot(at: next)
            let sequence = UInt64(next) + 1
            let isExact =
              slot.sequence == sequence && reader.publishTime(of: slot) == ~sequence
              && slot.byteCount == Self.byteCount(of: sequence)
            let span = reader.bytes(of: slot)
            let isIntact = unsafe span.withUnsafeBytes { source in
              source.indices.allSatisfy { unsafe source[$0] == Self.byte($0, of: sequence) }
            }
            if !isExact || !isIntact { faults.withLock { $0.append("message \(sequence) differs") } }
          } catch {
            return faults.withLock { $0.append("\(error)") }
          }
          next += 1
        }
      }
      messagesRead.add(UInt64(next), ordering: .relaxed)
    }
    onThreads([publish, subscribe, subscribe])

    #expect(faults.withLock { $0 } == [])
    #expect(messagesRead.load(ordering: .relaxed) == 2 * messageCount)
  }

  private static func byteCount(of sequence: UInt64) -> Int { Int(sequence &* 7919 % 80) }
  private static func byte(_ index: Int, of sequence: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: sequence &* 31 &+ UInt64(index) &* 7)
  }

  /// Loans filled by several threads at once, each under no lock; only `reserve` and `commit` are behind one.
  @Test func loansAreFilledByManyThreads() throws {
    let segment = try OpenSegment(capacity: 8 << 20)
    let writer = segment.writer
    let sequence = Mutex<UInt64>(0)
    let fill: @Sendable (UInt8) -> Void = { number in
      for _ in 0..<5_000 {
        guard let room = sequence.withLock({ _ in writer.reserve(byteCount: 200) }) else { return }
        // SAFETY: the only span of this reservation.
        var span = unsafe writer.mutableBytes(of: room)
        unsafe span.withUnsafeMutableBytes { target in
          for index in target.indices { unsafe target[index] = number }
        }
        sequence.withLock { last in
          last += 1
          writer.commit(room, byteCount: 200, sequence: last, publishTime: 0, elementStride: 0)
        }
      }
    }
    onThreads((1...4).map { number in { fill(UInt8(number)) } })

    #expect(segment.reader.committed == 20_000)
    #expect(try segment.reader.sequences(to: 20_000) == [1...20_000])
    var counts = [UInt8: Int]()
    for index in UInt32(0)..<20_000 {
      let payload = try segment.reader.payload(at: index)
      #expect(payload == [UInt8](repeating: payload[0], count: 200))
      counts[payload[0], default: 0] += 1
    }
    #expect(counts == [1: 5_000, 2: 5_000, 3: 5_000, 4: 5_000])
  }
}
