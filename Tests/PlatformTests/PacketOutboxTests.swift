import Platform
import Testing

@Suite struct PacketOutboxTests {
  @Test func passesOnAtOnceWhileThereIsRoom() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    #expect(outbox.send([1], descriptor: nil, over: pair.first))
    #expect(outbox.isEmpty)
    #expect(try pair.second.receive() == .packet([1]))
  }

  @Test func keepsOrderAndDescriptorsWhenThereIsNone() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    let before = try pair.first.fill(with: padding)
    let file = try freshFile()
    let identity = try #require(FileIdentity(file.raw))
    let packets: [[UInt8]] = (0..<10).map { [1, $0] }
    for (index, packet) in packets.enumerated() {
      #expect(outbox.send(packet, descriptor: index.isMultiple(of: 3) ? file.raw : nil, over: pair.first))
    }
    #expect(!outbox.isEmpty)
    #expect(try identity.openCount == 5, "this one, and a duplicate for each of four that wait")

    for _ in 0..<before { #expect(try pair.second.receive() == .packet(padding)) }
    #expect(try pair.second.receive() == .wouldBlock)
    #expect(outbox.flush(over: pair.first))
    #expect(outbox.isEmpty)
    #expect(try identity.openCount == 1)
    for (index, packet) in packets.enumerated() {
      #expect(try pair.second.receive() == .packet(packet, index.isMultiple(of: 3) ? identity : nil))
    }
  }

  @Test func laterPacketsWaitBehindEarlierOnesAndGoAsThereIsRoom() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    var sent = 0
    while outbox.isEmpty || sent < 1000 {
      #expect(outbox.send(numbered(sent), descriptor: nil, over: pair.first))
      sent += 1
    }
    for expected in 0..<sent {
      #expect(try pair.second.receive() == .packet(numbered(expected)))
      // There is room now; what waits goes first all the same.
      #expect(outbox.send(numbered(sent + expected), descriptor: nil, over: pair.first))
      #expect(outbox.flush(over: pair.first))
    }
    for expected in sent..<2 * sent {
      #expect(try pair.second.receive() == .packet(numbered(expected)))
      #expect(outbox.flush(over: pair.first))
    }
    #expect(outbox.isEmpty)
    #expect(try pair.second.receive() == .wouldBlock)
  }

  @Test func flushOfNothingAndOfAFullSocketIsNoFailure() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    #expect(outbox.flush(over: pair.first))
    _ = try pair.first.fill(with: padding)
    #expect(outbox.send([1], descriptor: nil, over: pair.first))
    #expect(outbox.flush(over: pair.first))
    #expect(!outbox.isEmpty)
  }

  @Test func hasALimit() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    _ = try pair.first.fill(with: padding)
    var kept = 0
    while kept <= PacketOutbox.limit, outbox.send([1], descriptor: nil, over: pair.first) { kept += 1 }
    #expect(kept == PacketOutbox.limit)
  }

  @Test func saysWhenTheConnectionIsOver() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    _ = try pair.first.fill(with: padding)
    #expect(outbox.send([1], descriptor: nil, over: pair.first))
    pair.second.shutDown()
    #expect(!outbox.flush(over: pair.first))
    var other = PacketOutbox()
    #expect(!other.send([1], descriptor: nil, over: pair.first))
  }

  @Test func endedOutboxClosesWhatItKept() throws {
    let pair = try PacketSocket.Pair()
    let file = try freshFile()
    let identity = try #require(FileIdentity(file.raw))
    _ = try pair.first.fill(with: padding)
    do {
      var outbox = PacketOutbox()
      #expect(outbox.send([1], descriptor: file.raw, over: pair.first))
      #expect(try identity.openCount == 2)
    }
    #expect(try identity.openCount == 1)
  }

  @Test func descriptorThatCannotBeKeptEndsTheConnection() throws {
    let pair = try PacketSocket.Pair()
    var outbox = PacketOutbox()
    _ = try pair.first.fill(with: padding)
    #expect(!outbox.send([1], descriptor: 1_000_000, over: pair.first))
  }

  private let padding = [UInt8](repeating: 0, count: 1024)

  private func numbered(_ number: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } + padding
  }
}
