import ArgumentParser
import CPeer
import Platform
import PoolBus

/// Says `publishing STREAM`, then obeys:
///
///     publish N     publishes N messages         → published LAST-SEQUENCE, before it `failed SEQUENCE WHY` if one did
///     run           publishes until another order comes              → published LAST-SEQUENCE
///     at            how far it is                                    → at LAST-SEQUENCE
///     after TIME    the first message that it began to publish then  → after SEQUENCE
///     loan BYTES    takes a loan, writes half of it, and keeps it    → loaned, or failed SEQUENCE WHY
///     redeem        publishes the loan that it has kept longest      → published LAST-SEQUENCE, or failed SEQUENCE WHY
///     sent          handles sent so far, and their bytes             → sent COUNT BYTES
///     allocations   how often it has asked for heap memory           → allocations COUNT
///     fork          forks a child that holds its descriptors         → forked PID
///     close         closes the publisher                             → closed
struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "publish")

  enum Policy: String, ExpressibleByArgument { case wait, fail, evict }

  @OptionGroup var join: JoinOptions
  @Argument var topic: String
  @Option(help: "Bytes of the messages, in turn, as in 0,1,64.") var sizes = Sizes(argument: "64")!
  @Option var policy = Policy.wait
  @Option(help: "Wait at most so many milliseconds.") var timeout: Int?
  @Option(help: "Keep the last so many messages.") var keepMessages: UInt64?
  @Option(help: "Keep what lies in so many bytes.") var keepBytes: UInt64?
  @Option(help: "Keep messages for so many milliseconds.") var keepMilliseconds: Int?
  @Flag(help: "End the topic's retention.") var keepNothing = false
  @Flag(help: "Say `waits SEQUENCE` before a loan that must wait, and `goes-on SEQUENCE` after it.") var tellWaits =
    false

  func run() async throws {
    let orders = try Orders()
    let bus = try await join.connect()
    var session = Session(try await bus.publisher(for: topic, options: options), sizes: sizes, tellsWaits: tellWaits)
    say("publishing", session.publisher.stream.rawValue)
    while let order = await orders.next() {
      switch order.verb {
      case "publish": await session.publish(try order.number())
      case "run": await session.publish(.max, until: { !orders.isEmpty })
      case "at": say("at", session.last)
      case "after": say("after", session.first(after: try order.number()))
      case "loan": await session.hold(byteCount: try order.number())
      case "redeem": session.redeem()
      case "sent": say("sent", bus.sentHandles.count, bus.sentHandles.byteCount)
      case "allocations": say("allocations", poolbus_peer_allocations())
      case "fork": say("forked", poolbus_peer_fork_idle_child())
      case "close":
        session.publisher.close()
        say("closed")
      default: throw Misunderstanding(order: order)
      }
    }
    session.loans = []
    await bus.close()
  }

  private var options: PublisherOptions {
    var retention: Retention?
    if keepNothing {
      retention = Retention.none
    } else if keepMessages != nil || keepBytes != nil || keepMilliseconds != nil {
      retention = Retention(messages: keepMessages, bytes: keepBytes, age: keepMilliseconds.map { .milliseconds($0) })
    }
    let whenFull: FullPolicy =
      switch policy {
      case .wait: .wait(timeout: timeout.map { .milliseconds($0) })
      case .fail: .fail
      case .evict: .evictOldest
      }
    return PublisherOptions(whenFull: whenFull, retention: retention)
  }
}

/// A publisher and what it has published.
private struct Session {
  let publisher: Publisher
  let sizes: Sizes
  let tellsWaits: Bool
  var last: UInt64 = 0
  var loans: [KeptLoan] = []
  /// When it began to publish each message, from the first.
  private var times: [UInt64] = []

  init(_ publisher: Publisher, sizes: Sizes, tellsWaits: Bool) {
    self.publisher = publisher
    self.sizes = sizes
    self.tellsWaits = tellsWaits
  }

  mutating func publish(_ count: UInt64, until isOver: () -> Bool = { false }) async {
    do {
      let end = last.addingReportingOverflow(count).partialValue
      while last != end, !isOver() { try await publishNext() }
    } catch {
      say("failed", last + 1, error)
    }
    say("published", last)
  }

  private mutating func publishNext() async throws {
    let sequence = last + 1
    var loan = try await loan(byteCount: sizes[sequence], for: sequence)
    Payload.write(publisher.stream, sequence, into: &loan.mutableBytes)
    times.append(Clock.realtimeNanoseconds)
    try loan.publish()
    last = sequence
  }

  private func loan(byteCount: Int, for sequence: UInt64) async throws -> Loan {
    guard tellsWaits else { return try await publisher.loan(byteCount: byteCount) }
    if let loan = try publisher.tryLoan(byteCount: byteCount) { return loan }
    say("waits", sequence)
    let loan = try await publisher.loan(byteCount: byteCount)
    say("goes-on", sequence)
    return loan
  }

  mutating func hold(byteCount: Int) async {
    do {
      var loan = try await publisher.loan(byteCount: byteCount)
      Payload.write(publisher.stream, last + 1, part: byteCount / 2, into: &loan.mutableBytes)
      loans.append(KeptLoan(loan))
      say("loaned")
    } catch {
      say("failed", last + 1, error)
    }
  }

  mutating func redeem() {
    guard !loans.isEmpty, var loan = loans.removeFirst().take() else { return }
    do {
      Payload.write(publisher.stream, last + 1, into: &loan.mutableBytes)
      try loan.publish()
      last += 1
      say("published", last)
    } catch {
      say("failed", last + 1, error)
    }
  }

  func first(after time: UInt64) -> UInt64 {
    UInt64(times.firstIndex { $0 > time } ?? times.count) + 1
  }
}

/// A loan where a collection needs a value that can be copied.
private final class KeptLoan {
  private var loan: Loan?
  init(_ loan: consuming Loan) { self.loan = consume loan }
  func take() -> Loan? { loan.take() }
}
