import Foundation
import Testing

@testable import Platform

@Suite struct DatagramSocketTests {
  /// Holds a socket where the test macros need a value that can be copied.
  private final class Socket {
    private let socket: DatagramSocket

    init(at path: String) throws { socket = try DatagramSocket(at: path) }
    init(connectedTo path: String) throws { socket = try DatagramSocket(connectedTo: path) }

    func send(_ bytes: [UInt8]) -> Bool {
      let span = bytes.span
      // SAFETY: an array of bytes has no padding.
      return socket.send(unsafe span.bytes)
    }

    /// The next datagram, of no more than so many bytes.
    func receive(room: Int = 8) -> [UInt8]? {
      var buffer = [UInt8](repeating: 0, count: room)
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes has no padding.
      var bytes = unsafe span.mutableBytes
      return socket.receive(into: &bytes).map { Array(buffer.prefix($0)) }
    }
  }

  @Test func whatIsSentToAPathIsReceivedThereInOrder() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let receiver = try Socket(at: path)
    let sender = try Socket(connectedTo: path)
    #expect(receiver.receive() == nil)
    #expect(sender.send([1, 2, 3]) && sender.send([]) && sender.send([4, 5, 6]))
    #expect(receiver.receive() == [1, 2, 3])
    #expect(receiver.receive() == [])
    #expect(receiver.receive(room: 2) == [4, 5])
    #expect(receiver.receive() == nil)
  }

  @Test func nobodyIsReachedWhereThereIsNone() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    #expect(throws: Errno.self) { _ = try Socket(connectedTo: path) }
    do {
      let receiver = try Socket(at: path)
      let sender = try Socket(connectedTo: path)
      #expect(sender.send([1]))
      _ = consume receiver
      #expect(!FileManager.default.fileExists(atPath: path))
      // Nor does another that comes to the path hear what was meant for the first.
      let another = try Socket(at: path)
      #expect(!sender.send([2]) && another.receive() == nil)
    }
    for nowhere in ["", String(repeating: "x", count: 200)] {
      #expect(throws: Errno.self) { _ = try Socket(connectedTo: nowhere) }
    }
  }

  @Test func twoCannotHaveOnePath() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let first = try Socket(at: path)
    #expect(throws: Errno.self) { _ = try Socket(at: path) }
    // And the second has not taken the first one's file away.
    #expect(try Socket(connectedTo: path).send([1]))
    #expect(first.receive() == [1])
  }

  @Test func whoDoesNotReceiveHoldsNobodyUp() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let receiver = try Socket(at: path)
    let sender = try Socket(connectedTo: path)
    // However much the kernel keeps for it: when there is no room, something is there to be received.
    for _ in 0..<5_000 { #expect(sender.send([7])) }
    var count = 0
    while receiver.receive() == [7] { count += 1 }
    #expect(count > 0 && count < 5_000)
    #expect(sender.send([8]))
    #expect(receiver.receive() == [8])
  }
}
