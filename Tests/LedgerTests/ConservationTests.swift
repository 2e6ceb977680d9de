import Testing
import Vocabulary

@testable import Ledger

/// Books that do not sum: nothing is leased any more, what is published flows on, and the last steps can be told.
@Suite struct ConservationTests {
  private static let page: UInt64 = 4096
  private let stream = StreamID(rawValue: 1)
  private let subscription = SubscriptionID(rawValue: 2)

  /// A ledger with a stream, a subscription, and a segment that was leased and is ready.
  private func ledger(pages: UInt64 = 8) throws -> (Ledger, SegmentIdentity) {
    var ledger = Ledger(contribution: pages * Self.page)
    let topic = try TopicName("a")
    _ = ledger.openStream(
      stream, client: ClientID(rawValue: 9), topic: topic, whenFull: .wait(timeout: nil), retention: nil, now: 1)
    _ = ledger.subscribe(
      subscription, client: ClientID(rawValue: 9), pattern: TopicPattern(topic), observes: false, wantsRetained: false,
      backlog: .none, now: 2)
    let actions = ledger.requestLease(3, stream: stream, capacity: Self.page, now: 3)
    guard case .create(let id, _, _, _)? = actions.first else { throw Missing() }
    let segment = SegmentIdentity(id: id, epoch: 1)
    _ = ledger.segmentReady(segment, now: 4)
    return (ledger, segment)
  }

  private struct Missing: Error {}

  @Test(arguments: [nil] + SegmentState.allCases.map(Optional.some))
  func aLedgerThatDoesNotSumLeasesNothingMore(state: SegmentState?) throws {
    var (ledger, _) = try ledger()
    ledger.usage[of: state] += 1
    let actions = ledger.requestLease(4, stream: stream, capacity: Self.page, now: 5)
    #expect(actions == [.refuse(lease: 4, .outOfBalance)])
    #expect(ledger.isOutOfBalance && !ledger.violations().isEmpty)
    // Not even when it sums again by chance.
    ledger.usage[of: state] -= 1
    #expect(ledger.requestLease(5, stream: stream, capacity: Self.page, now: 6) == [.refuse(lease: 5, .outOfBalance)])
  }

  @Test func whoWaitsForMemoryIsRefusedToo() throws {
    var (ledger, segment) = try ledger(pages: 1)
    #expect(ledger.requestLease(4, stream: stream, capacity: Self.page, now: 5).contains { $0.isRefusal } == false)
    ledger.usage.leased -= 1
    #expect(
      ledger.seal(segment.id, LogEnd(epoch: segment.epoch, slots: 1), now: 6).contains(.refuse(lease: 4, .outOfBalance))
    )
  }

  @Test func whatIsPublishedFlowsOn() throws {
    var (ledger, segment) = try ledger()
    ledger.usage.free += 1
    _ = ledger.advance(to: 5)
    _ = ledger.seal(segment.id, LogEnd(epoch: segment.epoch, slots: 1), now: 6)
    let late = SubscriptionID(rawValue: 7)
    _ = ledger.subscribe(
      late, client: ClientID(rawValue: 9), pattern: try TopicPattern("**"), observes: false, wantsRetained: true,
      backlog: .none, now: 7)
    _ = ledger.release(segment, by: subscription, now: 8)
    #expect(ledger.segmentRows.map(\.state) == [.warm])
  }

  @Test func theLastStepsAreToldInOrderAndInWords() throws {
    var (ledger, segment) = try ledger()
    _ = ledger.seal(segment.id, LogEnd(epoch: segment.epoch, slots: 1), now: 5)
    #expect(ledger.lastSteps.map(\.from) == [nil, .leased] && ledger.lastSteps.map(\.to) == [.leased, .sealed])
    #expect(ledger.lastSteps.last?.description == "at 4 ns segment 1.1 of stream 1, 4096 bytes: from leased to sealed")
    _ = ledger.release(segment, by: subscription, now: 6)
    for lease in UInt64(10)..<200 {
      _ = ledger.requestLease(lease, stream: stream, capacity: Self.page, now: lease)
      for row in ledger.segmentRows where row.state == .leased {
        _ = ledger.segmentReady(row.identity, now: lease)
        _ = ledger.seal(row.identity.id, LogEnd(epoch: row.identity.epoch, slots: 1), now: lease)
        _ = ledger.release(row.identity, by: subscription, now: lease)
      }
    }
    let steps = ledger.lastSteps
    #expect(steps.count == RecentSteps.limit && zip(steps, steps.dropFirst()).allSatisfy { $0.time <= $1.time })
    #expect(steps.last?.to == .warm)
  }
}

extension PoolUsage {
  /// Nil is free.
  fileprivate subscript(of state: SegmentState?) -> UInt64 {
    get { state.map { self[$0] } ?? free }
    set { if let state { self[state] = newValue } else { free = newValue } }
  }
}

extension LedgerAction {
  fileprivate var isRefusal: Bool { if case .refuse = self { true } else { false } }
}
