import ArgumentParser
import CPeer
import Platform
import PoolBus

/// Says `subscribed TIME`, then obeys:
///
///     take N      receives until N messages are received or reported lost  → took RECEIVED LAGGED
///     run         receives until another order comes                       → took RECEIVED LAGGED
///     hold N      as take, and keeps the samples                           → took RECEIVED LAGGED
///     verify      looks at the kept samples once more                      → intact N
///     release     lets go of them                                          → released
///     allocations how often it has asked for heap memory                   → allocations COUNT
///     fork        forks a child that holds its descriptors                 → forked PID
///     close       closes the subscriber                                    → closed
///
/// Every message is verified: its order, its length, each byte. What is wrong ends the peer with `error WHAT`. On the
/// way it says `first STREAM SEQUENCE` when it meets a stream, `lagged STREAM FIRST LAST`, and `failed WHY` when it must
/// stop.
struct SubscribeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "subscribe")

  enum WaitingMode: String, ExpressibleByArgument { case block, spin, adaptive }

  @OptionGroup var join: JoinOptions
  @Argument var pattern: String
  @Option(help: "Bytes of the messages, in turn, as in 0,1,64.") var sizes = Sizes(argument: "64")!
  @Option var waiting = WaitingMode.block
  @Option(help: "Lag beyond so many messages.") var backlogMessages: UInt64?
  @Option(help: "Lag beyond so many bytes.") var backlogBytes: UInt64?
  @Flag(help: "Start with the first message after joining, whatever the topics keep.") var newOnly = false

  func run() async throws {
    let orders = try Orders()
    let bus = try await join.connect()
    let subscriber = try await bus.subscriber(to: pattern, options: options)
    say("subscribed", Clock.realtimeNanoseconds)
    let reader = Reader(subscriber, sizes: sizes)
    var running: Task<Void, any Error>?
    while let order = await orders.next() {
      running?.cancel()
      try await running?.value
      running = nil
      switch order.verb {
      case "take": try await reader.take(try order.number())
      case "run": running = Task { try await reader.take(.max) }
      case "hold": try await reader.take(try order.number(), keeping: true)
      case "verify": try await reader.verify()
      case "release": await reader.release()
      case "allocations": say("allocations", poolbus_peer_allocations())
      case "fork": say("forked", poolbus_peer_fork_idle_child())
      case "close":
        subscriber.close()
        say("closed")
      default: throw Misunderstanding(order: order)
      }
    }
    running?.cancel()
    try await running?.value
    await reader.release()
    await bus.close()
  }

  private var options: SubscriberOptions {
    let waiting: Waiting =
      switch waiting {
      case .block: .block
      case .spin: .spin
      case .adaptive: .adaptive
      }
    return SubscriberOptions(
      backlogLimit: BacklogLimit(messages: backlogMessages, bytes: backlogBytes), receivesRetained: !newOnly,
      waiting: waiting)
  }
}

/// Receives, and trusts nothing that it receives.
private actor Reader {
  private let subscriber: Subscriber
  private let sizes: Sizes
  /// The sequence that must come next in each stream.
  private var expected: [StreamID: UInt64] = [:]
  private var kept: [Held<Sample>] = []

  init(_ subscriber: Subscriber, sizes: Sizes) {
    self.subscriber = subscriber
    self.sizes = sizes
  }

  func take(_ count: UInt64, keeping: Bool = false) async throws {
    var received: UInt64 = 0
    var lagged: UInt64 = 0
    defer { say("took", received, lagged) }
    while received + lagged < count {
      do {
        guard let sample = try await subscriber.next() else { return say("failed", "the subscriber is closed") }
        try proceed(in: sample.stream, to: sample.sequence...sample.sequence)
        // Here rather than in a function that borrows the sample: the variable itself must not cost an allocation.
        let byteCount = sample.withBytes { $0.byteCount }
        guard byteCount == sample.byteCount else { throw Wrong("\(name(sample)) has \(byteCount) bytes") }
        try verify(sample)
        received += 1
        if keeping { kept.append(Held(sample)) }
      } catch BusError.lagged(let lag) {
        try proceed(in: lag.stream, to: lag.sequences)
        lagged += lag.messages
        say("lagged", lag.stream.rawValue, lag.sequences.lowerBound, lag.sequences.upperBound)
      } catch is CancellationError {
        return
      } catch let error as BusError {
        return say("failed", error)
      }
    }
  }

  func verify() throws {
    for sample in kept { try verify(sample.value) }
    say("intact", kept.count)
  }

  func release() {
    kept = []
    say("released")
  }

  private func proceed(in stream: StreamID, to sequences: ClosedRange<UInt64>) throws {
    if let expected = expected[stream] {
      guard sequences.lowerBound == expected else {
        throw Wrong("\(stream) went on with \(sequences.lowerBound) instead of \(expected)")
      }
    } else {
      say("first", stream.rawValue, sequences.lowerBound)
    }
    expected[stream] = sequences.upperBound + 1
  }

  private func verify(_ sample: borrowing Sample) throws {
    guard sample.byteCount == sizes[sample.sequence] else {
      throw Wrong("\(name(sample)) has \(sample.byteCount) bytes, not \(sizes[sample.sequence])")
    }
    if let offset = Payload.mismatch(sample.stream, sample.sequence, in: sample.bytes) {
      throw Wrong("byte \(offset) of \(name(sample)) is not what was written")
    }
  }
}

private func name(_ sample: borrowing Sample) -> String { "message \(sample.sequence) of \(sample.stream)" }

/// A message that is not what was published.
private struct Wrong: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
