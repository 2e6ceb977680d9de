import BusProtocol
import Foundation
import Testing

@testable import PoolBus

/// A loan that is out while its node is replaced lies in a segment of the earlier one's, in which the new node can't say
/// that it takes nothing more: what is published from it is delivered, or fails.
@Suite struct OutlivingLoanTests {
  /// The node ends the connection of the publisher's client, as of one that breaks the protocol.
  private func endConnection(of publisher: Publisher) { publisher.core.node.send(.hello(Hello(name: "twice"))) }

  private func expect(_ sequence: UInt64, from subscriber: Subscriber) async throws {
    let received = try await nextBytes(subscriber)
    #expect(received?.sequence == sequence)
  }

  private func withLoan(
    _ body: (Place, Publisher, Subscriber, consuming Loan) async throws -> Void
  ) async throws {
    let place = Place()
    try place.startNode()
    let publisher = try await place.join().publisher(for: "a")
    let subscriber = try await place.join().subscriber(to: "a")
    let loan = try await publisher.loan(byteCount: 8)
    try await place.restartNode()
    try await body(place, publisher, subscriber, loan)
    try await place.end()
  }

  @Test(.timeLimit(.minutes(1))) func itIsDelivered() async throws {
    try await withLoan { place, publisher, subscriber, loan in
      let failure = failure(publishing: loan)
      #expect(failure == nil)
      try await expect(1, from: subscriber)
      try await publisher.loan(byteCount: 8).publish()
      try await expect(2, from: subscriber)
    }
  }

  @Test(.timeLimit(.minutes(1))) func itFailsAfterTheEndOfTheConnection() async throws {
    try await withLoan { place, publisher, _, loan in
      endConnection(of: publisher)
      try await place.wait(0) { if case .gaveUp = $0 { true } else { false } }
      let failure = failure(publishing: loan)
      #expect(failure == .nodeLost)
    }
  }

  @Test(.timeLimit(.minutes(2))) func itIsDeliveredOrFailsAsTheConnectionEnds() async throws {
    for turn in 0..<20 {
      try await withLoan { place, publisher, subscriber, loan in
        endConnection(of: publisher)
        // At any moment of the end.
        for _ in 0..<(turn * 20) { await Task.yield() }
        let failure = failure(publishing: loan)
        #expect(failure == nil || failure == .nodeLost)
        if failure == nil { try await expect(1, from: subscriber) }
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func itFailsWhileThereIsNoNodeAndThePublisherGoesOn() async throws {
    try await withLoan { place, publisher, subscriber, loan in
      await place.stopNode()
      try await place.wait(0) { $0 == .lost }
      let failure = failure(publishing: loan)
      #expect(failure == .nodeLost)
      try place.startNode()
      try await place.wait(0) { if case .rejoined = $0 { true } else { false } }
      try await publisher.loan(byteCount: 8).publish()
      try await expect(1, from: subscriber)
    }
  }
}
