import TestSupport
import Testing

extension Hostile {
  /// Packets that are no messages, or none that may come now: the connection that sent them ends, and says why.
  @Suite struct Nonsense {
    @Test(arguments: [UInt64(1), .random(in: 2...(.max))]) func randomPackets(seed: UInt64) async throws {
      var random = SplitMix64(seed: seed)
      try await Bystanders.with { bystanders in
        for round in 0..<200 {
          let liar = round.isMultiple(of: 2) ? try await Liar.join(bystanders.socket) : try Liar(bystanders.socket)
          let count = Int.random(in: 1...[40, 300, 5000].randomElement(using: &random)!, using: &random)
          liar.say((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
          let refusal = try #require(try await liar.hearEnd(), "seed \(seed)")
          #expect(refusal[2] == 0 && !refusal.text(3).isEmpty)
        }
      }
    }

    @Test func truncatedAtEveryByte() async throws {
      try await Bystanders.with { bystanders in
        let whole = [
          Say.openPublisher(1, topic: Array("liar/a".utf8), retention: [8, 1]),
          Say.subscribe(2, pattern: Array("liar/**".utf8), messages: 5), Say.inspect(3),
          Say.requestLease(4, stream: 1, capacity: 65_536),
        ]
        for bytes in whole {
          for count in 1..<bytes.count {
            let liar = try await Liar.join(bystanders.socket)
            liar.say(Array(bytes[..<count]))
            #expect(try await liar.hearEnd()?[2] == 0)
          }
        }
        // Nothing of it is a packet, too, and no message.
        let liar = try await Liar.join(bystanders.socket)
        liar.say([])
        #expect(try await liar.hearEnd()?.text(3).contains("empty") == true)
      }
    }

    @Test func nestedProtobuf() async throws {
      try await Bystanders.with { bystanders in
        for field in [UInt64(2), 5, 100] {
          var bytes: [UInt8] = []
          while bytes.count < 60_000 { bytes = Wire.bytes(field, bytes) }
          let liar = try await Liar.join(bystanders.socket)
          liar.say(bytes)
          #expect(try await liar.hearEnd()?[2] == 0)
        }
        // Groups, which protobuf has long given up.
        let liar = try await Liar.join(bystanders.socket)
        liar.say([UInt8](repeating: 0x0B, count: 60_000))
        #expect(try await liar.hearEnd()?[2] == 0)
      }
    }

    @Test func amplifyingProtobuf() async throws {
      try await Bystanders.with { bystanders in
        // Tens of thousands of fields in one packet, each of which takes far more memory than its two bytes.
        for repeated in [Wire.bytes(5, []), Wire.number(100, 0), Wire.bytes(100, [])] {
          let many = [[UInt8]](repeating: repeated, count: 60_000 / repeated.count).flatMap { $0 }
          for bytes in [many, Wire.bytes(2, Wire.number(1, 1) + Wire.text(2, "liar/a") + many)]
          where bytes.count <= 65_536 {
            let liar = try await Liar.join(bystanders.socket)
            liar.say(bytes)
            // Refused, or, where unknown fields are skipped, answered.
            _ = try await liar.isHeard()
          }
        }
      }
    }

    @Test(arguments: [65_537, 100_000, 150_000]) func oversizedPackets(count: Int) async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        liar.say([UInt8](repeating: 0, count: count))
        #expect(try await liar.hearEnd()?.text(3).contains("65536") == true)
      }
    }

    @Test func messagesOutOfOrder() async throws {
      try await Bystanders.with { bystanders in
        let early = [
          Say.openPublisher(1, topic: Array("liar".utf8)), Say.subscribe(1, pattern: Array("**".utf8)), Say.inspect(1),
          Say.requestLease(1, stream: 1, capacity: 65_536), Say.releaseSegment(1, epoch: 1, by: 1),
        ]
        for message in early {
          let liar = try Liar(bystanders.socket)
          liar.say(message)
          #expect(try await liar.hearEnd()?.text(3).contains("Hello") == true)
        }
        let twice = try await Liar.join(bystanders.socket)
        twice.say(Say.hello())
        #expect(try await twice.hearEnd()?.text(3).contains("twice") == true)
        let other = try Liar(bystanders.socket)
        other.say(Say.hello(version: 1))
        #expect(try await other.hearEnd()?[2] == 1)
      }
    }

    @Test func everyMessageRepeated() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let subscription = try await liar.subscribe("liar/**")
        let leased = try await liar.leaseReady(stream)
        let handed = try await liar.hear(.segmentHanded)
        #expect(handed[3] == leased.segment)
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        let (segment, epoch) = (leased.segment, leased.epoch)
        for message in [
          Say.segmentReady(segment, epoch: epoch), Say.sealSegment(segment, epoch: epoch),
          Say.segmentPassed(segment, epoch: epoch, by: subscription),
          Say.releaseSegment(segment, epoch: epoch, by: subscription), Say.segmentUnmapped(segment, by: subscription),
          Say.segmentUnmapped(segment), Say.cancelLease(1), Say.unsubscribe(subscription), Say.closePublisher(stream),
        ] {
          for _ in 0..<3 { try await liar.insist(message) }
          #expect(try await liar.isHeard(), "what is only late has no effect")
        }
        try await bystanders.books("nothing is left of the segment") { books in
          !books.segments.contains { $0.segment.rawValue == segment }
        }
      }
    }
  }
}
