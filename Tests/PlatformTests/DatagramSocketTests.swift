import Foundation
import Testing

@testable import Platform

@Suite struct DatagramSocketTests {
  /// Holds a socket where the test macros need a value that can be copied.
  private final class Socket {
    private let socket: DatagramSocket

    init(at path: String) throws { socket = try DatagramSocket(at: path) }
    init() throws { socket = try DatagramSocket() }

    func send(_ bytes: [UInt8], to path: String) -> Bool {
      let span = bytes.span
      // SAFETY: an array of bytes has no padding.
      return socket.send(unsafe span.bytes, to: path)
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
    let sender = try Socket()
    #expect(receiver.receive() == nil)
    #expect(sender.send([1, 2, 3], to: path) && sender.send([], to: path) && sender.send([4, 5, 6], to: path))
    #expect(receiver.receive() == [1, 2, 3])
    #expect(receiver.receive() == [])
    #expect(receiver.receive(room: 2) == [4, 5])
    #expect(receiver.receive() == nil)
  }

  @Test func nobodyIsReachedWhereThereIsNone() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let sender = try Socket()
    #expect(!sender.send([1], to: path))
    do { _ = try Socket(at: path) }
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(!sender.send([1], to: path))
    #expect(!sender.send([1], to: "") && !sender.send([1], to: String(repeating: "x", count: 200)))
  }

  @Test func twoCannotHaveOnePath() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let first = try Socket(at: path)
    #expect(throws: Errno.self) { _ = try Socket(at: path) }
    // And the second has not taken the first one's file away.
    #expect(try Socket().send([1], to: path))
    #expect(first.receive() == [1])
  }

  @Test func whoDoesNotReceiveHoldsNobodyUp() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    let receiver = try Socket(at: path)
    let sender = try Socket()
    // However much the kernel keeps for it: when there is no room, something is there to be received.
    for _ in 0..<5_000 { #expect(sender.send([7], to: path)) }
    var count = 0
    while receiver.receive() == [7] { count += 1 }
    #expect(count > 0 && count < 5_000)
    #expect(sender.send([8], to: path))
    #expect(receiver.receive() == [8])
  }
}
