import Foundation
import Testing

@testable import Platform

@Suite struct DatagramSocketTests {
  private let path = "\(NSTemporaryDirectory())pb-\(UUID().uuidString.prefix(8)).sock"

  /// Holds a socket where the test macros need a value that can be copied.
  private final class End {
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
    let receiver = try End(at: path)
    let sender = try End()
    #expect(receiver.receive() == nil)
    #expect(sender.send([1, 2, 3], to: path) && sender.send([], to: path) && sender.send([4, 5, 6], to: path))
    #expect(receiver.receive() == [1, 2, 3])
    #expect(receiver.receive() == [])
    #expect(receiver.receive(room: 2) == [4, 5])
    #expect(receiver.receive() == nil)
  }

  @Test func nobodyIsReachedWhereThereIsNone() throws {
    let sender = try End()
    #expect(!sender.send([1], to: path))
    do { _ = try End(at: path) }
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(!sender.send([1], to: path))
    #expect(!sender.send([1], to: "") && !sender.send([1], to: String(repeating: "x", count: 200)))
  }

  @Test func twoCannotHaveOnePath() throws {
    let first = try End(at: path)
    #expect(throws: Errno.self) { _ = try End(at: path) }
    // And the second has not taken the first one's file away.
    #expect(try End().send([1], to: path))
    #expect(first.receive() == [1])
  }

  @Test func whoDoesNotReceiveHoldsNobodyUp() throws {
    let receiver = try End(at: path)
    let sender = try End()
    // However much the kernel keeps for it: when there is no room, something is there to be received.
    for _ in 0..<5_000 { #expect(sender.send([7], to: path)) }
    var count = 0
    while receiver.receive() == [7] { count += 1 }
    #expect(count > 0 && count < 5_000)
    #expect(sender.send([8], to: path))
    #expect(receiver.receive() == [8])
  }
}
