import Foundation
import HandleTransport
import Synchronization
import Testing

@testable import PoolBus

/// Who sleeps is rung at its client's bell, and over ZeroMQ where there is none.
@Suite struct BellTests {
  /// A transport that brings nothing anywhere, and counts.
  private final class Mute: HandleTransport {
    let count = Atomic<UInt64>(0)
    private let others = InProcessTransport()

    func sender(at endpoint: String) -> any HandleSender { Sender(self) }
    func receiver() throws(TransportError) -> any HandleReceiver { try others.receiver() }

    private final class Sender: HandleSender {
      private let transport: Mute
      init(_ transport: Mute) { self.transport = transport }
      var endpoint: String { "" }
      func move(to endpoint: String) {}
      func send(_ handle: RawSpan) { transport.count.add(1, ordering: .relaxed) }
      var sentCount: UInt64 { transport.count.load(ordering: .relaxed) }
      var sentByteCount: UInt64 { 0 }
      func close() {}
    }
  }

  /// Publishes once the subscriber sleeps; true when the message is there.
  private func wakes(_ subscriber: Subscriber, by publisher: Publisher) async throws -> Bool {
    let task = Task { try await nextBytes(subscriber)?.bytes }
    await subscriber.untilSomebodyWaits()
    try await publisher.publish(copying: [7])
    return try await task.value == [7]
  }

  @Test(.timeLimit(.minutes(1))) func aSleeperIsRungAtItsBellAlone() async throws {
    let mute = Mute()
    let place = Place(transport: mute)
    try place.startNode()
    let (sending, receiving) = (try await place.join(), try await place.join())
    let publisher = try await sending.publisher(for: "a")
    let subscriber = try await receiving.subscriber(to: "a", options: SubscriberOptions(waiting: .block))
    for _ in 0..<10 { #expect(try await wakes(subscriber, by: publisher)) }
    // Now and then it is the node that wakes it, with a word of its own.
    #expect(sending.sentHandles.count > 0 && mute.count.load(ordering: .relaxed) == 0)

    // Whoever may join the node may ring.
    let last = try #require(subscriber.core.node.membership.bell?.path)
    func mode(_ path: String) throws -> Int? {
      try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
    #expect(try mode(last) == mode("\(place.directory)/node.sock"))

    // The next node gives bells other places.
    try await place.restartNode()
    #expect(subscriber.core.node.membership.bell?.path != last)
    let before = sending.sentHandles.count
    for _ in 0..<10 { #expect(try await wakes(subscriber, by: publisher)) }
    #expect(sending.sentHandles.count > before && mute.count.load(ordering: .relaxed) == 0)
    try await place.end()
  }

  @Test(.timeLimit(.minutes(1))) func whoseBellIsGoneIsRungOverZeroMQ() async throws {
    try await withNode { sending, configuration, transport in
      let receiving = try await Bus.connect(configuration, transport: transport)
      let publisher = try await sending.publisher(for: "a")
      let subscriber = try await receiving.subscriber(to: "a", options: SubscriberOptions(waiting: .block))
      let bell = try #require(subscriber.core.node.membership.bell)
      try FileManager.default.removeItem(atPath: bell.path)
      // The first may find the subscriber awake: the node's word of a new segment wakes it, too.
      while publisher.core.announcer.sentOverZeroMQ == 0 { #expect(try await wakes(subscriber, by: publisher)) }
      await receiving.close()
    }
  }

  @Test(.timeLimit(.minutes(1))) func nonsenseAtABellHarmsNobody() async throws {
    try await withNode { sending, configuration, transport in
      let receiving = try await Bus.connect(configuration, transport: transport)
      let publisher = try await sending.publisher(for: "a")
      let subscriber = try await receiving.subscriber(to: "a", options: SubscriberOptions(waiting: .block))
      let bell = try #require(subscriber.core.node.membership.bell)
      let ringer = BellRinger()
      for count in [0, 1, 8, 60, 256, 257, 60_000] {
        let nonsense = (0..<count).map { _ in UInt8.random(in: 0...255) }
        let span = nonsense.span
        // SAFETY: an array of bytes has no padding.
        for _ in 0..<50 { _ = ringer.ring(bell.path, with: unsafe span.bytes) }
        #expect(try await wakes(subscriber, by: publisher))
      }
      await receiving.close()
    }
  }
}
