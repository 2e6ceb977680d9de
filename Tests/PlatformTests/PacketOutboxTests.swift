import Platform
import TestSupport
import Testing

@Suite struct PacketOutboxTests {
  @Test func passesOnAtOnceWhileThereIsRoom() throws {
    let line = try Line()
    #expect(line.send([1], descriptor: nil))
    #expect(line.isEmpty)
    #expect(try line.receive() == .packet([1]))
  }

  @Test func keepsOrderAndDescriptorsWhenThereIsNone() throws {
    let line = try Line()
    let before = try line.fill(with: padding)
    let file = try freshFile()
    let identity = try #require(FileIdentity(file.raw))
    let packets: [[UInt8]] = (0..<10).map { [1, $0] }
    for (index, packet) in packets.enumerated() {
      #expect(line.send(packet, descriptor: index.isMultiple(of: 3) ? file.raw : nil))
    }
    #expect(!line.isEmpty)
    #expect(try identity.openCount == 5, "this one, and a duplicate for each of four that wait")

    for _ in 0..<before { #expect(try line.receive() == .packet(padding)) }
    #expect(try line.receive() == .wouldBlock)
    #expect(line.flush())
    #expect(line.isEmpty)
    #expect(try identity.openCount == 1)
    for (index, packet) in packets.enumerated() {
      #expect(try line.receive() == .packet(packet, index.isMultiple(of: 3) ? identity : nil))
    }
  }

  @Test func laterPacketsWaitBehindEarlierOnesAndGoAsThereIsRoom() throws {
    let line = try Line()
    var sent = 0
    while line.isEmpty || sent < 1000 {
      #expect(line.send(numbered(sent), descriptor: nil))
      sent += 1
    }
    for expected in 0..<sent {
      #expect(try line.receive() == .packet(numbered(expected)))
      // There is room now; what waits goes first all the same.
      #expect(line.send(numbered(sent + expected), descriptor: nil))
      #expect(line.flush())
    }
    for expected in sent..<2 * sent {
      #expect(try line.receive() == .packet(numbered(expected)))
      #expect(line.flush())
    }
    #expect(line.isEmpty)
    #expect(try line.receive() == .wouldBlock)
  }

  @Test func flushOfNothingAndOfAFullSocketIsNoFailure() throws {
    let line = try Line()
    #expect(line.flush())
    _ = try line.fill(with: padding)
    #expect(line.send([1], descriptor: nil))
    #expect(line.flush())
    #expect(!line.isEmpty)
    #expect(line.obstacle == .room)
  }

  /// The socket is writable meanwhile: who waited for that would try again without a pause.
  @Test(.enabled(if: DescriptorsUnderWay.canBeExhausted, "the limit can't be reached here by one thread alone"))
  func saysWhenTooManyDescriptorsAreUnderWay() throws {
    let line = try Line()
    let file = try freshFile()
    let identity = try #require(FileIdentity(file.raw))
    try DescriptorsUnderWay.exhausted {
      #expect(line.send([1], descriptor: file.raw))
      #expect(line.obstacle == .descriptorsUnderWay)
      #expect(line.send([2], descriptor: nil))
      #expect(line.flush())
      #expect(line.obstacle == .descriptorsUnderWay)
    }
    #expect(line.flush())
    #expect(line.isEmpty && line.obstacle == nil)
    #expect(try line.receive() == .packet([1], identity))
    #expect(try line.receive() == .packet([2]))
  }

  @Test func hasALimit() throws {
    let line = try Line()
    _ = try line.fill(with: padding)
    var kept = 0
    while kept <= PacketOutbox.limit, line.send([1], descriptor: nil) { kept += 1 }
    #expect(kept == PacketOutbox.limit)
  }

  @Test func whatHasAnEndWaitsBeyondTheLimit() throws {
    let line = try Line()
    let before = try line.fill(with: padding)
    for _ in 0...PacketOutbox.limit { #expect(line.send([1], descriptor: nil, isBounded: false)) }
    // What comes behind it has all the room that it would have without it, and no more.
    var kept = 0
    while kept <= PacketOutbox.limit, line.send([2], descriptor: nil) { kept += 1 }
    #expect(kept == PacketOutbox.limit)

    for _ in 0..<before { #expect(try line.receive() == .packet(padding)) }
    while !line.isEmpty {
      #expect(line.flush())
      while try line.receive() != .wouldBlock {}
    }
    _ = try line.fill(with: padding)
    kept = 0
    while kept <= PacketOutbox.limit, line.send([3], descriptor: nil) { kept += 1 }
    #expect(kept == PacketOutbox.limit)
  }

  @Test func saysWhenTheConnectionIsOver() throws {
    let line = try Line()
    _ = try line.fill(with: padding)
    #expect(line.send([1], descriptor: nil))
    line.hangUp()
    #expect(!line.flush())
  }

  @Test func saysAtOnceThatNobodyReads() throws {
    let line = try Line()
    line.hangUp()
    #expect(!line.send([1], descriptor: nil))
  }

  @Test func endedOutboxClosesWhatItKept() throws {
    let file = try freshFile()
    let identity = try #require(FileIdentity(file.raw))
    do {
      let line = try Line()
      _ = try line.fill(with: padding)
      #expect(line.send([1], descriptor: file.raw))
      #expect(try identity.openCount == 2)
    }
    #expect(try identity.openCount == 1)
  }

  @Test func descriptorThatCannotBeKeptEndsTheConnection() throws {
    let line = try Line()
    _ = try line.fill(with: padding)
    #expect(!line.send([1], descriptor: 1_000_000))
  }
}

private let padding = [UInt8](repeating: 0, count: 1024)

private func numbered(_ number: Int) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } + padding
}

/// An outbox before a socket, and the other side; a class, as the macros of Swift Testing can't carry owners.
private final class Line {
  private var outbox = PacketOutbox()
  private let pair: PacketSocket.Pair

  init() throws { pair = try PacketSocket.Pair() }

  var isEmpty: Bool { outbox.isEmpty }
  var obstacle: PacketOutbox.Obstacle? { outbox.obstacle }

  func send(_ bytes: [UInt8], descriptor: CInt?, isBounded: Bool = true) -> Bool {
    outbox.send(bytes, descriptor: descriptor, isBounded: isBounded, over: pair.first)
  }

  func flush() -> Bool { outbox.flush(over: pair.first) }
  func fill(with packet: [UInt8]) throws -> Int { try pair.first.fill(with: packet) }
  func receive() throws -> Arrival { try pair.second.receive() }
  func hangUp() { pair.second.shutDown() }
}
