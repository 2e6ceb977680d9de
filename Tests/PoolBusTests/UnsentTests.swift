import BusProtocol
import Platform
import Testing

@testable import PoolBus

/// A message to the node that can be neither sent nor kept.
@Suite struct UnsentTests {
  /// To go on without it, the two would disagree for good: of a release that the node never hears, memory is lost.
  @Test(.timeLimit(.minutes(1))) func itEndsTheConnection() async throws {
    try await SilentNode.with { node, client in
      async let books = client.inspect()
      try await node.hear()
      // More than are kept beside those that the socket takes.
      for _ in 0..<(PacketOutbox.limit + 10_000) { client.send(.unsubscribe(SubscriptionID(rawValue: 1))) }
      do {
        _ = try await books
        Issue.record("there is an answer")
      } catch {
        #expect(error as? BusError == .nodeLost)
      }
    }
  }
}
