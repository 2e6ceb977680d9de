import HandleTransport
import Platform
import PoolBus
import PooledMemory
import Synchronization
import TestSupport
import Testing

extension Hostile {
  /// A publisher that writes what it likes into its own segments, while a good subscriber reads them, and rings as it
  /// likes.
  @Suite struct Segments {
    private static let capacity: UInt64 = 65_536

    @Test(arguments: [UInt64(1), .random(in: 2...(.max))])
    func scribblesOverItsHeaderAndSlotsWhileTheyAreRead(seed: UInt64) async throws {
      var random = SplitMix64(seed: seed)
      try await Bystanders.with(pattern: "**") { bystanders in
        for _ in 0..<10 {
          let liar = try await Liar.join(bystanders.socket)
          let stream = try await liar.openPublisher("liar/\(Int.random(in: 0..<3, using: &random))")
          let leased = try await liar.leaseReady(stream)
          for round in 0..<2_000 {
            // The header's words, the slots, right ones among them, and the count of them.
            leased[8 * Int.random(in: 0..<64, using: &random)] = random.next()
            leased[Int(Self.capacity) - 8 * Int.random(in: 1...512, using: &random)] = random.next()
            if Bool.random(using: &random) {
              leased.write(sequence: .random(in: 0...40, using: &random), at: .random(in: 0..<64, using: &random))
            }
            leased.commit([0, 1, 30, 1_000, 0xffff_ffff].randomElement(using: &random)!)
            if round.isMultiple(of: 100) { leased.seal([0, 5, 0xffff_fffe].randomElement(using: &random)!) }
          }
          if Bool.random(using: &random) { liar.say(Say.sealSegment(leased.segment, epoch: 1)) }
          #expect(try await liar.isHeard(), "seed \(seed)")
        }
      }
    }

    /// Slots with a right checksum that speak of what is outside.
    @Test func slotsReachBeyondTheSegment() async throws {
      let end = Self.capacity - 64
      let reaches: [(offset: UInt64, byteCount: UInt64)] = [
        (0, 64), (4095, 64), (end + 1, 0), (Self.capacity, 0), (.max, 1), (1 << 63, 1), (4096, end - 4096 + 1),
        (4096, .max), (8192, 0 &- 8192), (8192, 5000 &- 8192), (4096, UInt64(Int.max)), (end, 1), (4100, 64),
      ]
      try await Bystanders.with(pattern: "**") { bystanders in
        for (index, reach) in reaches.enumerated() {
          let liar = try await Liar.join(bystanders.socket)
          let leased = try await liar.leaseReady(try await liar.openPublisher("liar/\(index)"))
          leased.forge(
            SlotEntry(
              sequence: 1, offset: reach.offset, byteCount: reach.byteCount, publishTime: 0, attributesOffset: 4096,
              attributesByteCount: 0, elementStride: 0), at: 0)
          leased.commit(1)
          try await eventually("\(reach) is told as corrupt") { bystanders.strange == index + 1 }
        }
      }
    }

    /// What is looked up in a slot again, after its message was taken.
    @Test func slotsAreAlteredAfterTheyWereRead() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let leased = try await liar.leaseReady(try await liar.openPublisher("liar/a"))
        let bus = try await Bus.connect(
          BusConfiguration(socketPath: bystanders.socket, name: "reader", embeddedNode: nil))
        let subscriber = try await bus.subscriber(to: "liar/a")
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        guard let sample = try await subscriber.next() else { throw Unexpected("the subscriber is closed") }
        // Another message's, in order by itself.
        leased.write(sequence: 2, at: 0, publishTime: .max)
        do {
          _ = try sample.attributes()
          Issue.record("another message's attributes were taken for this one's")
        } catch BusError.invalidAttributes(let why) {
          #expect(why.contains("sequence is 2 and should be 1"))
        }
        let (sequence, byteCount) = (sample.sequence, sample.byteCount)
        #expect(sequence == 1 && byteCount == 64)
        await bus.close()
      }
    }

    /// Whoever follows its lives comes to none in which it stays.
    @Test(.timeLimit(.minutes(1))) func beginsLivesFasterThanTheyAreRead() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let leased = try await liar.leaseReady(try await liar.openPublisher("liar/a"))
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        try await eventually("it is read") { bystanders.strange == 1 }
        let isOver = Flag()
        defer { isOver.value.store(true, ordering: .relaxed) }
        try startThread(named: "lives") {
          var epoch: UInt64 = 1
          while !isOver.value.load(ordering: .relaxed) {
            epoch += 1
            leased[64] = epoch << 32
          }
        }
        try await bystanders.areUnharmed()
      }
    }

    private final class Flag: Sendable {
      let value = Atomic(false)
    }

    @Test func clockIsFarInThePastAndFuture() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let leased = try await liar.leaseReady(try await liar.openPublisher("liar/a", retention: [24, 1]))
        let times: [UInt64] = [0, 1, 1 << 62, UInt64(Int64.max), 1 << 63, .max]
        for (index, time) in times.enumerated() {
          leased.write(sequence: UInt64(index) + 1, at: UInt32(index), publishTime: time)
        }
        leased.commit(UInt64(times.count))
        leased.seal(UInt64(times.count))
        try await eventually("each is received") { bystanders.strange == times.count }
      }
    }

    /// A stream whose every message leaves a gap, and lies now in one segment, now in the other: what must be known of it is
    /// known soon.
    @Test(.timeLimit(.minutes(1))) func aStreamOfAMillionGaps() async throws {
      try await Bystanders.with(contribution: 256 << 20) { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a", policy: 2, retention: [8, 0xff, 0xff, 0xff, 0x0f])
        let subscription = try await liar.subscribe("liar/**")
        var segments: [Leased] = []
        for _ in 0..<2 { segments.append(try await liar.leaseReady(stream, capacity: 72 << 20)) }
        let count = UInt32(500_000)
        for (place, leased) in segments.enumerated() {
          for index in 0..<count { leased.write(sequence: 4 * UInt64(index) + 2 * UInt64(place) + 1, at: index) }
          leased.commit(UInt64(count))
          liar.say(Say.sealSegment(leased.segment, epoch: 1))
        }
        #expect(try await liar.isHeard())
        // A good subscriber joins, and wants what is retained; and the log is taken from who has not read it.
        for leased in segments { liar.say(Say.releaseSegment(leased.segment, epoch: 1, by: subscription)) }
        _ = try await liar.subscribe("liar/*", wantsRetained: true)
        liar.say(Say.requestLease(99, stream: stream, capacity: 200 << 20))
        _ = try await liar.hear(.lagged)
        // It still maps what was taken from it, so the memory does not come back.
        let refusal = try await liar.hear(.refusal)
        #expect(refusal[1] == 99 && refusal[2] == 2)
        try await bystanders.areUnharmed()
      }
    }

    @Test func forgedHandles() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let leased = try await liar.leaseReady(stream)
        let sender = try ZeroMQTransport().sender(at: liar.endpoint.withLock { $0 })
        // Of its own stream, of the pair's, and of those that an earlier node may have had.
        for named in [stream, bystanders.stream.rawValue, 1, .max] {
          // Stale and future epochs, foreign segments, lengths and slots beyond all bounds.
          for segment in [leased.segment, 1, 2, 0, 1 << 40, .max] {
            for (epoch, slot) in [(1, 0), (0, 0), (77, 1), (0xffff_ffff, 0xffff_ffff)] as [(UInt64, UInt64)] {
              for sequence in [0, 1, 1 << 62, .max] as [UInt64] {
                let handle =
                  Wire.fixed64(1, named) + Wire.number(2, segment) + Wire.number(3, epoch) + Wire.number(4, slot)
                  + Wire.number(5, sequence) + Wire.number(6, .max) + Wire.fixed64(7, .max)
                // SAFETY: an array of bytes has no padding.
                sender.send(unsafe handle.span.bytes)
              }
            }
          }
        }
        try await bystanders.areUnharmed()
        #expect(bystanders.strange == 0, "a handle invents nothing")
        // What is there is found, by whichever handle.
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        let handle = Wire.fixed64(1, stream) + Wire.number(2, 99) + Wire.number(3, 99)
        // SAFETY: as above.
        sender.send(unsafe handle.span.bytes)
        try await eventually("the message is received, once") { bystanders.strange == 1 }
        sender.close()
      }
    }
  }
}
