import Foundation
import Glibc
import HandleTransport
import PoolBus
import Synchronization
import TestProcesses
import TestSupport
import Testing

extension Hostile {
  /// A node is killed, another takes its place, and what was true of the first is said again.
  @Suite struct EarlierLives {
    /// A node in a process of its own, and a publisher and a subscriber that live through its death.
    private final class Place {
      let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
      var socket: String { "\(directory)/node.sock" }
      private(set) var node: PeerProcess

      init() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        node = try await Self.startNode(at: "\(directory)/node.sock")
      }

      private static func startNode(at socket: String) async throws -> PeerProcess {
        let node = try PeerProcess([Executable.peer, "node", "--contribution", "33554432", "--socket", socket])
        try await node.line("serving")
        return node
      }

      func join() async throws -> Bus {
        try await Bus.connect(BusConfiguration(socketPath: socket, embeddedNode: nil))
      }

      func replaceNode() async throws {
        try await node.kill()
        node = try await Self.startNode(at: socket)
      }

      func end() async throws {
        try await node.kill()
        try FileManager.default.removeItem(atPath: directory)
      }
    }

    /// Receives all there is, and takes note of what came, and of what went wrong.
    private final class Listener: Sendable {
      private let state = Mutex((sequences: [UInt64](), problems: [String]()))
      var sequences: [UInt64] { state.withLock { $0.sequences } }
      var problems: [String] { state.withLock { $0.problems } }

      func listen(to subscriber: Subscriber) async {
        while true {
          do {
            guard let sample = try await subscriber.next() else { return }
            let sequence = sample.sequence
            state.withLock { $0.sequences.append(sequence) }
          } catch {
            state.withLock { $0.problems.append("\(error)") }
            guard case BusError.lagged = error else { return }
          }
        }
      }
    }

    /// Takes every handle of a stream, as it is on the wire.
    private final class Recorder {
      private let receiver: any HandleReceiver
      private(set) var handles: [[UInt8]] = []

      init(of stream: UInt64, at endpoint: String) throws {
        receiver = try ZeroMQTransport().receiver()
        receiver.subscribe(prefix: Wire.fixed64(1, stream))
        try receiver.connect(to: endpoint)
      }

      deinit { receiver.close() }

      func take() {
        var buffer = [UInt8](repeating: 0, count: 256)
        while true {
          var span = buffer.mutableSpan
          // SAFETY: an array of bytes takes any bytes.
          var bytes = unsafe span.mutableBytes
          guard let count = receiver.receive(into: &bytes) else { return }
          handles.append(Array(buffer.prefix(count)))
        }
      }
    }

    @Test func handlesOfANodeThatWasKilledAreSentAgain() async throws {
      let place = try await Place()
      let (publisherBus, subscriberBus) = (try await place.join(), try await place.join())
      let publisher = try await publisherBus.publisher(for: "good")
      let subscriber = try await subscriberBus.subscriber(to: "**")
      let listener = Listener()
      let listening = Task { await listener.listen(to: subscriber) }
      var published: UInt64 = 0
      func publish() async throws {
        try await publisher.loan(byteCount: 1000).publish()
        published += 1
      }

      // Somebody who may have every handle keeps them all.
      let witness = try await Liar.join(place.socket)
      witness.say(Say.subscribe(witness.nextRequest(), pattern: Array("good".utf8), observes: 1))
      let recorder = try Recorder(
        of: publisher.stream.rawValue, at: try await witness.hear(.streamIntroduced).text(4))
      try await eventually("handles are recorded") {
        try await publish()
        recorder.take()
        return recorder.handles.count >= 100
      }
      try await eventually("all is received") { listener.sequences.count == published }

      var events = (publisherBus.nodeEvents.makeAsyncIterator(), subscriberBus.nodeEvents.makeAsyncIterator())
      try await place.replaceNode()
      while let event = await events.0.next(isolation: nil) { if case .rejoined = event { break } }
      while let event = await events.1.next(isolation: nil) { if case .rejoined = event { break } }

      // They were right once, to the last byte: the stream lives on, their segments do not, or in another life.
      let liar = try await Liar.join(place.socket)
      let stream = try await liar.openPublisher("liar/a")
      let sender = try ZeroMQTransport().sender(at: liar.endpoint.withLock { $0 })
      let before = published
      for turn in 0..<20 {
        for handle in recorder.handles {
          // As they were, and in its own name.
          let forged = turn.isMultiple(of: 2) ? handle : Wire.fixed64(1, stream) + handle.dropFirst(9)
          // SAFETY: an array of bytes has no padding.
          sender.send(unsafe forged.span.bytes)
        }
        try await publish()
      }
      #expect(published == before + 20)
      try await eventually("what is new is received") { listener.sequences.count >= published }
      #expect(try await liar.isHeard())
      #expect(listener.sequences == Array(1...published), "each once, in order: no handle brings anything back")
      #expect(listener.problems == [])

      sender.close()
      for bus in [publisherBus, subscriberBus] { await bus.close() }
      await listening.value
      try await place.end()
    }
  }
}
