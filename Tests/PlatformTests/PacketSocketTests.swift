import Foundation
import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@Suite struct PacketSocketTests {
  @Test func packetsArriveWholeAndInOrder() throws {
    let pair = try PacketSocket.Pair()
    let packets: [[UInt8]] = [[1], [2, 3], Array(repeating: 4, count: PacketSocket.maximumPacketByteCount)]
    for packet in packets { #expect(try pair.first.send(packet) == .sent) }
    for packet in packets { #expect(try pair.second.receive() == .packet(packet)) }
    #expect(try pair.second.receive() == .wouldBlock)
  }

  @Test func whoHangsUpIsSeenToAlsoBeforeItsLastWordsAreRead() throws {
    let pair = try PacketSocket.Pair()
    #expect(try pair.first.send([1]) == .sent)
    #expect(!pair.first.isHungUp && !pair.second.isHungUp)
    pair.first.shutDown()
    let isHungUp = pair.second.isHungUp
    #expect(isHungUp)
    #expect(try pair.second.receive() == .packet([1]))
  }

  @Test func descriptorTravelsBesideItsPacket() throws {
    let pair = try PacketSocket.Pair()
    let file = try freshFile()
    let identity = FileIdentity(file.raw)
    #expect(try pair.first.send([1]) == .sent)
    #expect(try pair.first.send([2], descriptor: file.raw) == .sent)
    #expect(try pair.first.send([3]) == .sent)
    #expect(try pair.second.receive() == .packet([1]))
    #expect(try pair.second.receive() == .packet([2], identity))
    #expect(try pair.second.receive() == .packet([3]))
    #expect(try identity?.openCount == 1, "the sender's own is left, the arrived one was its receiver's to close")
  }

  @Test func arrivedDescriptorClosesOnExec() throws {
    let pair = try PacketSocket.Pair()
    let file = try freshFile()
    #expect(try pair.first.send([1], descriptor: file.raw) == .sent)
    var buffer = [UInt8](repeating: 0, count: 8)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes takes any bytes.
    var bytes = unsafe span.mutableBytes
    guard case .packet(1, let arrived?) = try pair.second.receive(into: &bytes) else {
      Issue.record("no descriptor came")
      return
    }
    #expect(closesOnExec(arrived.raw))
  }

  @Test(arguments: [false, true]) func packetLongerThanTheBufferIsDamaged(withDescriptor: Bool) throws {
    let pair = try PacketSocket.Pair()
    let file = try freshFile()
    let identity = FileIdentity(file.raw)
    #expect(try pair.first.send([1, 2, 3, 4, 5], descriptor: withDescriptor ? file.raw : nil) == .sent)
    #expect(try pair.first.send([6]) == .sent)
    #expect(try pair.second.receive(room: 4) == .damaged)
    #expect(try identity?.openCount == 1)
    #expect(try pair.second.receive(room: 4) == .packet([6]))
  }

  /// Up to eight fit the room that the receiver has for descriptors; of more the kernel cuts some off.
  @Test(arguments: [2, 8, 9, 100]) func severalDescriptorsAreDamageAndAllAreClosed(count: Int) throws {
    let pair = try PacketSocket.Pair()
    let file = try freshFile()
    let identity = FileIdentity(file.raw)
    try sendPacket([1], descriptors: Array(repeating: file.raw, count: count), over: pair.first.raw)
    #expect(try pair.second.receive() == .damaged)
    #expect(try identity?.openCount == 1)
  }

  @Test func fullSocketWouldBlockUntilTheOtherSideReads() throws {
    let pair = try PacketSocket.Pair()
    let packet = [UInt8](repeating: 7, count: 1024)
    let count = try pair.first.fill(with: packet)
    #expect(count > 0)
    for _ in 0..<count { #expect(try pair.second.receive() == .packet(packet)) }
    #expect(try pair.second.receive() == .wouldBlock)
    #expect(try pair.first.send(packet) == .sent)
  }

  @Test func hangUpClosesAfterTheLastPacket() throws {
    let (first, second) = try End.pair()
    #expect(try first.send([1]) == .sent)
    first.hangUp()
    #expect(try second.receive() == .packet([1]))
    #expect(try second.receive() == .closed)
    #expect(try second.send([2]) == .closed)
  }

  /// The kernel reports a peer that left packets unread as a reset, ahead of what that peer sent before: a refusal,
  /// say, to one who was still sending.
  @Test func lastPacketsOfAPeerThatDidNotReadArrive() throws {
    let (first, second) = try End.pair()
    #expect(try second.send([9]) == .sent)
    #expect(try first.send([1]) == .sent)
    #expect(try first.send([2]) == .sent)
    first.hangUp()
    #expect(try second.receive() == .packet([1]))
    #expect(try second.receive() == .packet([2]))
    #expect(try second.receive() == .closed)
  }

  /// Of a reader that looks in the very moment in which a packet comes, and the end behind it.
  @Test func theEndIsNeverSeenAheadOfTheLastPacket() throws {
    final class Sockets: Sendable {
      let ends: PacketSocket.Pair
      init() throws(Errno) { ends = try PacketSocket.Pair() }
    }
    final class Table: Sendable {
      let sockets = Mutex<Sockets?>(nil)
      let round = Atomic(0)
    }
    let table = Table()
    try startThread(named: "writer") {
      for round in 1... {
        while table.round.load(ordering: .acquiring) < round { continue }
        guard let sockets = table.sockets.withLock({ $0.take() }) else { return }
        _ = try? sockets.ends.first.send([1])
        sockets.ends.first.shutDown()
      }
    }
    // The last round brings no sockets, which ends the thread.
    defer { table.round.store(.max, ordering: .releasing) }
    for round in 1...50_000 {
      let sockets = try Sockets()
      table.sockets.withLock { $0 = sockets }
      table.round.store(round, ordering: .releasing)
      var arrival = Arrival.wouldBlock
      while arrival == .wouldBlock { arrival = try sockets.ends.second.receive(room: 8) }
      try #require(arrival == .packet([1]), "round \(round)")
    }
  }

  @Test func shutDownEndsBothSides() throws {
    let pair = try PacketSocket.Pair()
    pair.first.shutDown()
    #expect(try pair.first.receive() == .closed)
    #expect(try pair.first.send([1]) == .closed)
    #expect(try pair.second.receive() == .closed)
    #expect(try pair.second.send([1]) == .closed)
  }

  @Test func tooLongAPacketIsAnError() throws {
    let pair = try PacketSocket.Pair()
    let packet = [UInt8](repeating: 0, count: 64 << 20)
    #expect(throws: Errno.self) { _ = try pair.first.send(packet) }
  }

  @Test func peerIsKnownByTheKernelsWord() throws {
    let pair = try PacketSocket.Pair()
    let peer = try pair.first.peerCredentials()
    #expect(peer.processID == getpid())
    #expect(peer.userID == geteuid())
    #expect(peer.groupID == getegid())
    let process = try pair.first.peerProcess()
    #expect(closesOnExec(process.raw))
    let facts = try String(contentsOfFile: "/proc/self/fdinfo/\(process.raw)", encoding: .utf8)
    #expect(facts.split(separator: "\n").contains("Pid:\t\(getpid())"), "not this process's: \(facts)")
  }

  @Test func nobodyListensWhereNothingIs() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    #expect(throws: SocketError.nobodyListens(path: path)) { _ = try PacketSocket.connect(to: path) }
  }

  @Test(arguments: [108, 5000]) func tooLongAPathIsNotConnected(byteCount: Int) {
    let path = "/tmp/" + String(repeating: "x", count: byteCount - 5)
    #expect(throws: SocketError.pathTooLong(path: path, limit: 107)) { _ = try PacketSocket.connect(to: path) }
  }

  @Test func emptyPathIsNotCalledTooLong() {
    #expect(throws: SocketError.failed(path: "", .invalidArgument)) { _ = try PacketSocket.connect(to: "") }
  }
}
