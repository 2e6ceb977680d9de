import Glibc
import PoolBus
import TestSupport

/// A publisher of an episode, through all its lives.
final class PublishingEnd: @unchecked Sendable {
  // Unchecked: one task at a time uses it.

  private let plan: PublisherPlan
  private let worker: Int
  private let index: Int
  private let records: String
  private let membership: Membership
  private let orders: WorkerOrders
  private var random: SplitMix64
  private var author: Author
  private var last: UInt64 = 0
  private var loans: [LongLoan] = []

  /// After so many messages in a life it goes slowly, so that records and time suffice.
  private static let plenty: UInt64 = 10_000

  init(
    _ plan: PublisherPlan, worker: Int, index: Int, seed: UInt64, records: String, membership: Membership,
    orders: WorkerOrders
  ) {
    self.plan = plan
    self.worker = worker
    self.index = index
    self.records = records
    self.membership = membership
    self.orders = orders
    random = SplitMix64(seed: seed)
    author = Author(worker: worker, publisher: index, life: 0)
  }

  func run() async {
    var life = 0
    while !orders.hasStopped, let bus = await membership.bus(life: life, orders) {
      author.life = life
      last = 0
      guard let journal = await orders.journal("\(records)/\(JournalName.publisher(author))") else { return }
      guard await live(with: bus, journal) == .nodeLost else { break }
      life += 1
    }
  }

  /// - Returns: why this life is over; nil if everything shall be closed.
  private func live(with bus: Bus, _ journal: Journal) async -> Failure? {
    do {
      let publisher = try await bus.publisher(for: plan.topic, options: plan.options)
      journal.append(Record(kind: .opened, subject: publisher.stream.rawValue, value: author.code))
      let failure = FailureBox()
      await orders.untilStopped { [self] in failure.value = await publish(publisher, journal) }
      if let failure = failure.value { return fail(failure, journal) }
      finish(journal)
      journal.append(Record(kind: .stopped))
      await orders.waitUntilEnded()
      publisher.close()
      journal.append(Record(kind: .closed))
      return nil
    } catch {
      return fail(Failure(error), journal, error)
    }
  }

  private func fail(_ failure: Failure, _ journal: Journal, _ error: (any Error)? = nil) -> Failure {
    if let error { complain("\(author) failed: \(error)") }
    loans = []
    journal.append(Record(kind: .failed, value: failure.rawValue))
    return failure
  }

  // MARK: - Publishing

  /// Publishes until its task is cancelled.
  /// - Returns: what it can't survive.
  private func publish(_ publisher: Publisher, _ journal: Journal) async -> Failure? {
    var inBurst = 0
    while !Task.isCancelled, !journal.isFull {
      do {
        try await publishNext(publisher, journal)
        inBurst += 1
        if inBurst >= plan.burst || last > Self.plenty {
          inBurst = 0
          try await Task.sleep(for: .microseconds(last > Self.plenty ? 50_000 : plan.rest))
        }
      } catch is CancellationError {
        return nil
      } catch {
        let failure = Failure(error)
        guard await mayTryAgain(after: failure) else {
          complain("\(author) failed: \(error)")
          return failure
        }
        journal.append(Record(kind: .refused, value: failure.rawValue))
        try? await Task.sleep(for: .milliseconds(5))
      }
    }
    return nil
  }

  private func mayTryAgain(after failure: Failure) async -> Bool {
    switch failure {
    case .poolExhausted, .outOfMemory: true
    // There is no node at present, and its policy does not wait for one.
    case .nodeLost where plan.policy.givesUp: await !membership.hasGivenUp(life: author.life)
    default: false
    }
  }

  private func publishNext(_ publisher: Publisher, _ journal: Journal) async throws {
    switch plan.style {
    case .single:
      var loan = try await publisher.loan(byteCount: nextSize())
      Payload.write(author, last + 1, into: &loan.mutableBytes)
      try publish(loan, journal)
    case .batches(let most):
      var batch = try await publisher.loanBatch(count: Int.random(in: 1...most, using: &random), byteCount: nextSize())
      let count = batch.count
      for index in 0..<count {
        var bytes = batch.mutableBytes(at: index)
        Payload.write(author, last + 1 + UInt64(index), into: &bytes)
      }
      let place = begin(count, batch.byteCount, journal)
      do {
        try batch.publish()
        conclude(place, count, journal)
      } catch {
        concludeFailed(place, error, journal)
        throw error
      }
    case .longLoans(let most):
      if let loan = try publisher.tryLoan(byteCount: nextSize()) {
        loans.append(LongLoan(loan))
        if loans.count > most { try publishOne(journal) }
      } else {
        // Who waits for memory must not sit on some.
        while !loans.isEmpty { try publishOne(journal) }
        loans.append(LongLoan(try await publisher.loan(byteCount: nextSize())))
      }
    }
  }

  private func publishOne(_ journal: Journal) throws {
    let index = Int.random(in: 0..<loans.count, using: &random)
    // Some are dropped unpublished.
    guard Int.random(in: 0..<16, using: &random) > 0, var loan = loans.remove(at: index).take() else { return }
    Payload.write(author, last + 1, into: &loan.mutableBytes)
    try publish(loan, journal)
  }

  /// Some of the loans that are out are published at the last moment, the others dropped.
  private func finish(_ journal: Journal) {
    while !loans.isEmpty {
      do { try publishOne(journal) } catch { break }
      if Bool.random(using: &random), !loans.isEmpty { loans.removeLast() }
    }
    loans = []
  }

  private func publish(_ loan: consuming Loan, _ journal: Journal) throws {
    let place = begin(1, loan.byteCount, journal)
    do {
      try loan.publish()
      conclude(place, 1, journal)
    } catch {
      concludeFailed(place, error, journal)
      throw error
    }
  }

  private func begin(_ count: Int, _ byteCount: Int, _ journal: Journal) -> Int {
    journal.append(
      Record(kind: .publishing, value: last + 1, count: UInt64(count), size: UInt64(byteCount)))
  }

  private func conclude(_ place: Int, _ count: Int, _ journal: Journal) {
    last += UInt64(count)
    journal.conclude(place, .done)
  }

  private func concludeFailed(_ place: Int, _ error: any Error, _ journal: Journal) {
    // The node may have ended the connection just before the message, or just after it.
    journal.conclude(place, Failure(error) == .nodeLost ? .uncertain : .failed)
  }

  private func nextSize() -> Int {
    let isLarge = Int.random(in: 1...plan.largeEvery, using: &random) == 1
    let most = isLarge ? plan.largest : max(plan.largest / 16, plan.smallest)
    return isLarge ? most : Int.random(in: plan.smallest...max(most, plan.smallest), using: &random)
  }
}

/// A loan that is kept for a while; what is written to it meanwhile is not yet the message.
private final class LongLoan {
  private var loan: Loan?

  init(_ loan: consuming Loan) {
    var loan = loan
    Payload.write(Author(code: 0), 0, scribble: true, into: &loan.mutableBytes)
    self.loan = consume loan
  }

  func take() -> Loan? { loan.take() }
}

/// Carries a failure out of a task that is awaited.
private final class FailureBox: @unchecked Sendable {
  var value: Failure?
}

extension PublisherPlan {
  fileprivate var options: PublisherOptions {
    let whenFull: FullPolicy =
      switch policy {
      case .wait: .wait(timeout: nil)
      case .waitShortly: .wait(timeout: .milliseconds(50))
      case .fail: .fail
      case .evictOldest: .evictOldest
      }
    return PublisherOptions(whenFull: whenFull, retention: retention.map { Retention(messages: $0) })
  }
}

/// Says on standard error, which the harness keeps beside the records, what the records have no words for.
func complain(_ text: String) {
  let line = Array("\(text)\n".utf8)
  // SAFETY: the bytes outlive the call.
  _ = unsafe write(STDERR_FILENO, line, line.count)
}
