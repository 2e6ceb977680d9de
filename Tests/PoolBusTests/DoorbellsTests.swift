import BusProtocol
import HandleTransport
import Synchronization
import Testing
import Vocabulary

@testable import PoolBus

@Suite("Doorbells")
struct DoorbellsTests {
  /// Else what is looked at would grow with the square of the streams.
  @Test("Who listens to many streams is checked once, not once for each")
  func areCheckedOnce() async throws {
    try await withBus { bus in
      let (all, one) = (try await bus.subscriber(to: "**"), try await bus.subscriber(to: "a"))
      let doorbells = Doorbells(transport: InProcessTransport())
      func listen(_ subscriber: Subscriber, to stream: UInt64) throws {
        doorbells.listen(
          to: StreamIntroduced(
            subscription: subscriber.subscription, stream: StreamID(rawValue: stream), topic: try TopicName("a"),
            handleEndpoint: "", firstSequence: 1), for: subscriber.core)
      }
      for stream in 1...3 as ClosedRange<UInt64> { try listen(all, to: stream) }
      try listen(one, to: 3)
      #expect(doorbells.subscriptions.map(\.id).sorted() == [all.subscription, one.subscription].sorted())
      doorbells.remove(all.subscription)
      #expect(doorbells.subscriptions.map(\.id) == [one.subscription])
      doorbells.close()
    }
  }

  /// Else whoever sends fast enough keeps the client from hearing its node.
  @Test("However many handles come, a turn ends")
  func areTakenInTurns() async throws {
    try await withBus { bus in
      let subscriber = try await bus.subscriber(to: "a")
      let doorbells = Doorbells(transport: Handles(count: 5 * Doorbells.mostAtATurn / 2))
      #expect(!doorbells.drain {})
      doorbells.listen(
        to: StreamIntroduced(
          subscription: subscriber.subscription, stream: StreamID(rawValue: 1), topic: try TopicName("a"),
          handleEndpoint: "somewhere", firstSequence: 1), for: subscriber.core)
      #expect((1...3).map { _ in doorbells.drain {} } == [true, true, false])
      doorbells.close()
    }
  }
}

/// Some handles that wait, all of them nonsense.
private final class Handles: HandleTransport, HandleReceiver {
  private let count: Atomic<Int>

  init(count: Int) { self.count = Atomic(count) }

  func receiver() -> any HandleReceiver { self }
  func sender(at endpoint: String) throws(TransportError) -> any HandleSender {
    try InProcessTransport().sender(at: endpoint)
  }
  func receive(into buffer: inout MutableRawSpan) -> Int? {
    count.subtract(1, ordering: .relaxed).newValue >= 0 ? 0 : nil
  }
  func connect(to endpoint: String) {}
  func disconnect(from endpoint: String) {}
  func subscribe(prefix: [UInt8]) {}
  func unsubscribe(prefix: [UInt8]) {}
  var descriptor: CInt { -1 }
  func close() {}
}
