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

  @Test(.timeLimit(.minutes(2)))
  func whatWasReceivedAndWhatWasHandedStaysAsItWas() async throws {
    func check(_ sample: borrowing Sample) {
      let sequence = UInt8(truncatingIfNeeded: sample.sequence)
      let isIntact = sample.withBytes { bytes in
        // SAFETY: any byte is a UInt8.
        bytes.byteOffsets.allSatisfy { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) == sequence }
      }
      #expect(isIntact, "message \(sample.sequence)")
    }
    try await withNode { bus, configuration, transport in
      var configuration = configuration
      configuration.embeddedNode = nil
      configuration.whenNodeLost = .fail
      let other = try await Bus.connect(configuration, transport: transport)
      let reader = try await other.subscriber(to: "a")
      let publisher = try await bus.publisher(for: "a")
      var number: UInt8 = 0
      func publish() async throws {
        number &+= 1
        try await publisher.publish(copying: [UInt8](repeating: number, count: 5_000))
      }
      // So that of what it has mapped some rests, as it is read, and some is borrowed.
      for _ in 1...20 {
        for _ in 1...30 { try await publish() }
        for _ in 1...30 { _ = try await nextBytes(reader) }
      }
      for _ in 1...3 { try await publish() }
      var held = [try #require(await firstSample(reader))]
      reader.core.node.send(.hello(Hello(name: "twice")))
      while (try? await other.inspect()) != nil {}
      var end: BusError?
      while end == nil, held.count < 1_000 {
        try await publish()
        do throws(BusError) {
          if let sample = try reader.tryNext() { held.append(HeldSample(sample)) }
        } catch {
          end = error
        }
      }
      for _ in 1...2_000 { try await publish() }
      for sample in held { sample.check(check) }
      if case .refused? = end {} else { Issue.record("\(String(describing: end))") }
      await other.close()
    }
  }
}
