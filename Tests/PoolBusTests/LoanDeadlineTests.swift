import Testing

@testable import PoolBus

/// Several loans of a publisher wait for one lease: each for its own time, and no longer.
@Suite(.timeLimit(.minutes(1))) struct LoanDeadlineTests {
  private static let refusal = BusError.poolExhausted("all of it is held")

  /// Loans that wait at a node that says nothing.
  private func withWaiting(
    _ count: Int, for timeout: Duration, _ body: (PublisherCore, [Task<Void, any Error>]) async throws -> Void
  ) async throws {
    try await SilentNode.with { _, client in
      let publisher = try Publisher.silent(client, whenFull: .wait(timeout: timeout))
      let loans = (0..<count).map { _ in Task { _ = try await publisher.loan(byteCount: 8).byteCount } }
      while publisher.core.waitingCount < count { await Task.yield() }
      try await body(publisher.core, loans)
      for loan in loans {
        loan.cancel()
        _ = await loan.result
      }
      publisher.close()
    }
  }

  @Test func allWhoseTimeIsOverGiveUpAtOneRefusal() async throws {
    try await withWaiting(8, for: .zero) { core, loans in
      core.leaseRefused(try #require(core.request), Self.refusal)
      for loan in loans { await #expect(throws: Self.refusal) { try await loan.value } }
      #expect(core.request == nil)
    }
  }

  @Test func whoHasTimeLeftAsksAnewButForNoLonger() async throws {
    try await withWaiting(2, for: .seconds(1_000)) { core, _ in
      let deadlines = core.state.withLock { $0.waiting.map(\.deadline) }
      core.leaseRefused(try #require(core.request), Self.refusal)
      while core.waitingCount < 1 { await Task.yield() }
      let again = core.state.withLock { $0.waiting.map(\.deadline) }
      #expect(again.count == 1 && deadlines.contains(again[0]))
    }
  }

  /// The lease was of a loan that does not want it any more, or was ahead of need, and perhaps for more.
  @Test(arguments: [BusError.refused("it was cancelled"), refusal])
  func whoHasNotBeenRefusedAsksForItself(error: BusError) async throws {
    try await withWaiting(0, for: .zero) { core, _ in
      let isAhead = error == Self.refusal
      core.state.withLock {
        $0.requests[1_000] = LeaseRequest(lane: .small, capacity: 64 << 10, isAhead: isAhead, isToGrow: false)
      }
      let publisher = Publisher(core)
      let loan = Task { _ = try await publisher.loan(byteCount: 8).byteCount }
      while core.waitingCount < 1 { await Task.yield() }
      core.leaseRefused(1_000, error)
      while core.waitingCount < 1 { await Task.yield() }
      let request = try #require(core.request)
      #expect(request != 1_000)
      core.leaseRefused(request, Self.refusal)
      await #expect(throws: Self.refusal) { try await loan.value }
    }
  }
}

extension PublisherCore {
  fileprivate var waitingCount: Int { state.withLock { $0.waiting.count } }
  /// The one lease that is asked for.
  fileprivate var request: UInt64? { state.withLock { $0.requests.keys.first } }
}
