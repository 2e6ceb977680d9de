import BusProtocol
import HandleTransport
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
}
