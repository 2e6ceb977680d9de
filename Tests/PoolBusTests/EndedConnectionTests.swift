import BusProtocol
import Foundation
import HandleTransport
import Testing

@testable import PoolBus

/// A node that lives may end a client's connection, as it does with who breaks the protocol: what the client has published
/// is delivered, and it learns that nothing more is.
@Suite struct EndedConnectionTests {
  @Test(.timeLimit(.minutes(2)), arguments: [NodeLossPolicy.fail, .rejoin(within: nil)])
  func whatIsPublishedIsDeliveredAndWhatIsNotFails(policy: NodeLossPolicy) async throws {
    for _ in 1...20 {
      try await withNode { bus, configuration, transport in
        var configuration = configuration
        configuration.embeddedNode = nil
        configuration.whenNodeLost = policy
        let other = try await Bus.connect(configuration, transport: transport)
        let publisher = try await other.publisher(for: "a")
        let subscriber = try await bus.subscriber(to: "a")
        var (published, received) = (0 as UInt64, 0 as UInt64)
        var failure: BusError?
        while failure == nil, published < 1_000_000 {
          // In the midst of segments that are written anew again and again, as the reader keeps up.
          if published == 1_000 { publisher.core.node.send(.hello(Hello(name: "twice"))) }
          do throws(BusError) {
            if let loan = try publisher.tryLoan(byteCount: 2_000) {
              try loan.publish()
              published += 1
            }
          } catch {
            failure = error
          }
          while let sample = try subscriber.tryNext() { received = sample.sequence }
        }
        #expect(failure == .nodeLost && published >= 1_000)
        #expect(throws: BusError.nodeLost) { try publisher.tryLoan(byteCount: 8)?.publish() }
        while received < published { received = try #require(await nextBytes(subscriber)).sequence }
        #expect(received <= published + 1)
        await other.close()
      }
    }
  }
}
