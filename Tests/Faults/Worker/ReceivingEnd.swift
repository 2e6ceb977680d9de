import Platform
import PoolBus
import Synchronization

/// A subscription of an episode, through all its lives.
final class ReceivingEnd: @unchecked Sendable {
  // Unchecked: one task at a time uses it; what is held is behind a lock.

  private let plan: SubscriberPlan
  private let worker: Int
  private let index: Int
  private let records: String
  private let membership: Membership
  private let orders: WorkerOrders
  private let shelf: Shelf

  init(
    _ plan: SubscriberPlan, worker: Int, index: Int, records: String, membership: Membership, orders: WorkerOrders
  ) {
    self.plan = plan
    self.worker = worker
    self.index = index
    self.records = records
    self.membership = membership
    self.orders = orders
    shelf = Shelf(milliseconds: plan.holdMilliseconds)
  }

  func run() async {
    var life = 0
    while let bus = await membership.bus(life: life, orders) {
      let name = JournalName.subscriber(worker: worker, index: index, life: life)
      guard let journal = await orders.journal("\(records)/\(name)") else { return }
      guard await live(with: bus, journal) == .nodeLost, !orders.hasEnded else { break }
      life += 1
    }
  }

  /// - Returns: why this life is over; nil if everything shall be closed.
  private func live(with bus: Bus, _ journal: Journal) async -> Failure? {
    do {
      journal.append(Record(kind: .subscribing))
      let subscriber = try await bus.subscriber(to: plan.pattern, options: plan.options)
      journal.append(Record(kind: .subscribed, subject: subscriber.subscription.rawValue))
      let ending = Ending()
      let sweeper = Task { [shelf] in await shelf.sweep() }
      await orders.untilEnded(on: plan.onBusExecutor ? bus.executor : nil) { [self] in
        ending.failure = await receive(from: subscriber, journal)
      }
      sweeper.cancel()
      await sweeper.value
      shelf.clear()
      for damage in shelf.takeDamages() { journal.append(damage) }
      subscriber.close()
      if let failure = ending.failure {
        journal.append(Record(kind: .failed, value: failure.rawValue))
        return failure
      }
      journal.append(Record(kind: .closed))
      return nil
    } catch {
      complain("subscriber \(index) of process \(worker) failed: \(error)")
      let failure = Failure(error)
      journal.append(Record(kind: .failed, value: failure.rawValue))
      return failure
    }
  }

  /// Receives until its task is cancelled.
  /// - Returns: what it can't survive.
  private func receive(from subscriber: Subscriber, _ journal: Journal) async -> Failure? {
    var count = 0
    while !Task.isCancelled, !journal.isFull {
      do {
        switch plan.style {
        case .single:
          guard let sample = try await subscriber.next() else { return .closed }
          journal.append(record(of: sample))
          if isHeld(count) { shelf.add(HeldSample(sample)) }
        case .batches(let limit):
          guard let batch = try await subscriber.nextBatch(limit: limit) else { return .closed }
          for index in 0..<batch.count { journal.append(try record(of: batch, at: index)) }
          if isHeld(count) { shelf.add(HeldBatch(batch)) }
        }
        count += 1
        if plan.rest > 0, !orders.isHurrying { try await Task.sleep(for: .microseconds(plan.rest)) }
      } catch BusError.lagged(let lag) {
        journal.append(
          Record(kind: .lagged, subject: lag.stream.rawValue, value: lag.sequences.lowerBound, count: lag.messages))
      } catch BusError.corruptSegment(let what) {
        complain("subscriber \(index) of process \(worker) read: \(what)")
        journal.append(Record(kind: .corrupt))
      } catch is CancellationError {
        return nil
      } catch {
        complain("subscriber \(index) of process \(worker) failed: \(error)")
        return Failure(error)
      }
    }
    return nil
  }

  private func isHeld(_ count: Int) -> Bool { plan.holdEvery > 0 && count % plan.holdEvery == 0 }
}

private func record(of sample: borrowing Sample) -> Record {
  record(of: sample.bytes, sample.stream, sample.sequence)
}

private func record(of batch: borrowing SampleBatch, at index: Int) throws(BusError) -> Record {
  record(of: try batch.bytes(at: index), batch.stream, batch.firstSequence + UInt64(index))
}

/// What there is to say of a message: that it is intact, or where it is not.
private func record(of bytes: RawSpan, _ stream: StreamID, _ sequence: UInt64) -> Record {
  switch Payload.read(sequence, in: bytes) {
  case .intact(let author):
    Record(
      kind: .received, subject: stream.rawValue, value: sequence, size: UInt64(bytes.byteCount), author: author)
  case .damaged(let offset):
    Record(
      kind: .damaged, subject: stream.rawValue, value: sequence, count: UInt64(offset), size: UInt64(bytes.byteCount))
  }
}

/// Messages that are kept for a while, and must be what they were when they are let go.
private final class Shelf: Sendable {
  private struct State {
    var kept: [(due: ContinuousClock.Instant, message: any HeldMessage)] = []
    var damages: [Record] = []
  }

  private let state = Mutex(State())
  private let time: Duration
  /// More are not kept, so that a fast stream does not fill this process.
  private static let limit = 64

  init(milliseconds: Int) { time = .milliseconds(milliseconds) }

  func add(_ message: any HeldMessage) {
    let due = ContinuousClock.now + time
    let surplus = state.withLock { state in
      state.kept.append((due, message))
      return state.kept.count > Self.limit ? [state.kept.removeFirst().message] : []
    }
    look(at: surplus)
  }

  /// Lets go of what is due, again and again: also when nothing comes, so that nobody waits for its memory for ever.
  func sweep() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(5))
      let now = ContinuousClock.now
      look(
        at: state.withLock { state in
          let due = state.kept.prefix { $0.due <= now }.map(\.message)
          state.kept.removeFirst(due.count)
          return due
        })
    }
  }

  func clear() {
    look(
      at: state.withLock { state in
        defer { state.kept = [] }
        return state.kept.map(\.message)
      })
  }

  func takeDamages() -> [Record] { state.withLock { $0.damages } }

  private func look(at messages: [any HeldMessage]) {
    let damages = messages.flatMap(\.damages)
    if !damages.isEmpty { state.withLock { $0.damages += damages } }
  }
}

private protocol HeldMessage: Sendable {
  /// What is not as it was written.
  var damages: [Record] { get }
}

private final class HeldSample: HeldMessage {
  private let sample: Sample
  init(_ sample: consuming Sample) { self.sample = sample }
  var damages: [Record] { [record(of: sample)].filter { $0.kind == .damaged } }
}

private final class HeldBatch: HeldMessage {
  private let batch: SampleBatch
  init(_ batch: consuming SampleBatch) { self.batch = batch }
  var damages: [Record] {
    (0..<batch.count).compactMap { try? record(of: batch, at: $0) }.filter { $0.kind == .damaged }
  }
}

/// Carries a failure out of a task that is awaited.
private final class Ending: @unchecked Sendable {
  var failure: Failure?
}

extension SubscriberPlan {
  fileprivate var options: SubscriberOptions {
    let waiting: PoolBus.Waiting =
      switch waiting {
      case .block: .block
      case .spin: .spin
      case .adaptive: .adaptive
      }
    return SubscriberOptions(
      backlogLimit: BacklogLimit(messages: backlogMessages), receivesRetained: receivesRetained, waiting: waiting)
  }
}
