import CPeer
import Foundation
import PoolBus

// The benchmark's work over PoolBus, as Peers/CONTRACT.md says.

@main
enum PoolBusPeer {
  static func main() async {
    do {
      // Not on the main actor, whose executor wakes more slowly.
      try await Task.detached { try await work() }.value
    } catch {
      say("error \(error)")
      exit(1)
    }
  }

  private static func work() async throws {
    switch arguments.role {
    case "server": try await serve()
    case "ping": try await ping()
    case "pong": try await pong()
    case "source": try await source()
    case "sink": try await sink()
    case let role: throw BadOrder(description: "unknown role \(role)")
    }
  }
}

/// A small pool is what holds a fast publisher back, as the others' rings and windows do, and stays in the caches. Every
/// topic needs a segment, and large payloads some room to be under way: more of those that are not written whole, as they
/// come so fast that many are to share a segment; but no more than a host has for them.
let contribution: UInt64 = {
  guard arguments.pool == 0 else { return UInt64(arguments.pool) }
  let most = max(8, Int(ProcessInfo.processInfo.physicalMemory / 2) / max(arguments.size, 1))
  let payloads = arguments.isTouched ? 8 : min(128, most)
  return UInt64(max(32 << 20, payloads * arguments.size, arguments.topics * (256 << 10)))
}()

func connect(embedded: Bool = false) async throws -> Bus {
  try await Bus.connect(
    BusConfiguration(
      socketPath: "\(arguments.place)/node.sock", name: arguments.role,
      embeddedNode: embedded ? .init(contribution: contribution) : nil))
}

/// The node, in a process of its own.
func serve() async throws {
  let bus = try await connect(embedded: true)
  say("ready")
  while readLine() != nil {}
  await bus.close()
}

/// Runs a round where it costs the fewest hops between threads: one that blocks, on the thread that receives.
func round<Value: Sendable>(
  on bus: Bus, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  guard arguments.mode != .spin else { return try await body() }
  return try await Task(executorPreference: bus.executor) { try await body() }.value
}

// MARK: - Latency

func ping() async throws {
  let bus = try await connect()
  let publisher = try await bus.publisher(for: "ping")
  let subscriber = try await bus.subscriber(to: "pong", options: arguments.subscriberOptions)
  say("ready")
  var last: UInt64 = 0
  while let count = nextRound() {
    let cpu = peer_cpu()
    let samples = try await round(on: bus) { [last] in
      var samples = [UInt64](repeating: 0, count: count)
      for index in 0..<count {
        let number = last + UInt64(index) + 1
        // As in rounds.h, room is there before the clock starts, and what was received is given back after it has stopped.
        let loan = try await publisher.loan(byteCount: arguments.size)
        arguments.pause()
        let start = peer_now()
        try send(number, in: loan)
        let sample = if arguments.isPolling { try poll(subscriber) } else { try await receive(from: subscriber) }
        let answer = read(sample)
        samples[index] = (peer_now() - start) / 2
        guard answer == number else { throw BadOrder(description: "another answer") }
      }
      return samples
    }
    last += UInt64(count)
    let spent = peer_cpu() - cpu
    let path = "\(arguments.place)/samples"
    try unsafe samples.withUnsafeBytes { unsafe Data($0) }.write(to: URL(fileURLWithPath: path))
    say("done file=\(path) cpu=\(spent)")
  }
  await bus.close()
}

func pong() async throws {
  let bus = try await connect()
  let publisher = try await bus.publisher(for: "pong")
  let subscriber = try await bus.subscriber(to: "ping", options: arguments.subscriberOptions)
  say("ready")
  while let count = nextRound() {
    let cpu = peer_cpu()
    say("armed")
    try await round(on: bus) {
      for _ in 0..<count {
        // The answer first: giving back what was received isn't on its way.
        let sample = if arguments.isPolling { try poll(subscriber) } else { try await receive(from: subscriber) }
        let number = read(sample)
        if try !trySend(number, by: publisher) { try await send(number, by: publisher) }
      }
    }
    say("done cpu=\(peer_cpu() - cpu)")
  }
  await bus.close()
}

// MARK: - Throughput

func source() async throws {
  let bus = try await connect()
  var publishers: [Publisher] = []
  for topic in 0..<arguments.topics {
    publishers.append(try await bus.publisher(for: "work/\(arguments.index)/\(topic)"))
  }
  // Each topic is in use: it has a segment, and its subscribers know it. This counts for no round.
  for publisher in publishers.dropFirst() { try await send(0, by: publisher) }
  let publisher = publishers[0]
  say("ready")
  var last: UInt64 = 0
  while let count = nextRound() {
    let cpu = peer_cpu()
    let start = peer_now()
    if arguments.isBatching {
      try await sendInBatches(last + 1...last + UInt64(count), by: publisher)
    } else {
      for index in 0..<UInt64(count) {
        arguments.pace(from: start, index: index)
        let number = last + index + 1
        if try !trySend(number, by: publisher) { try await send(number, by: publisher) }
      }
    }
    last += UInt64(count)
    say("done start=\(start) cpu=\(peer_cpu() - cpu)")
  }
  await bus.close()
}

func sink() async throws {
  let bus = try await connect()
  let subscriber = try await bus.subscriber(to: "work/**", options: arguments.subscriberOptions)
  say("ready")
  var streams = Streams()
  while let count = nextRound() {
    let cpu = peer_cpu()
    say("armed")
    let before = streams
    let expected = UInt64(count * arguments.publishers)
    streams = try await round(on: bus) {
      var streams = before
      while streams.numbers - before.numbers < expected {
        if arguments.isBatching {
          try await receiveBatch(from: subscriber, into: &streams)
        } else {
          let sample = if arguments.isPolling { try poll(subscriber) } else { try await receive(from: subscriber) }
          try streams.note(read(sample), of: sample.stream)
        }
      }
      return streams
    }
    say("done end=\(peer_now()) lost=\(streams.lost - before.lost) cpu=\(peer_cpu() - cpu)")
  }
  await bus.close()
}

/// What came of each publisher's stream: numbers that rise, and no gaps unless messages were lost.
struct Streams {
  /// Numbers that came, or are known to be lost.
  private(set) var numbers: UInt64 = 0
  private(set) var lost: UInt64 = 0
  private var current = StreamID(rawValue: 0)
  /// The last number of the current stream; those of the others are looked up only when the stream changes.
  private var last: UInt64 = 0
  private var lastOfOthers: [StreamID: UInt64] = [:]

  mutating func note(_ number: UInt64, of stream: StreamID) throws {
    // What only sets up a topic counts for no round.
    guard number > 0 else { return }
    if stream != current {
      lastOfOthers[current] = last
      current = stream
      last = lastOfOthers[stream] ?? 0
    }
    guard number > last else { throw BadOrder(description: "message \(number) after \(last)") }
    numbers += number - last
    lost += number - last - 1
    last = number
  }
}

// MARK: - A message

// Where no waiting is needed, or wanted, the calls that never wait are the ones for a hot loop.

/// False if there is no room yet.
func trySend(_ number: UInt64, by publisher: Publisher) throws -> Bool {
  guard let loan = try publisher.tryLoan(byteCount: arguments.size) else { return false }
  try send(number, in: loan)
  return true
}

func send(_ number: UInt64, by publisher: Publisher) async throws {
  try send(number, in: await publisher.loan(byteCount: arguments.size))
}

func send(_ number: UInt64, in loan: consuming Loan) throws {
  var bytes = loan.mutableBytes
  unsafe bytes.withUnsafeMutableBytes { unsafe poolbus_fill($0.baseAddress, number) }
  try loan.publish()
}

/// The next message, for a thread that looks by itself until it comes.
func poll(_ subscriber: Subscriber) throws -> Sample {
  var turns = 0
  while true {
    if let sample = try subscriber.tryNext(looks: 32) { return sample }
    turns += 1
    if turns.isMultiple(of: 256) { sched_yield() }
  }
}

func receive(from subscriber: Subscriber) async throws -> Sample {
  guard let sample = try await subscriber.next() else { throw BadOrder(description: "the subscriber is closed") }
  return sample
}

/// A message's number, read as far as `--touch` says.
func read(_ sample: borrowing Sample) -> UInt64 {
  sample.withBytes { unsafe $0.withUnsafeBytes { unsafe poolbus_read($0.baseAddress) } }
}

// MARK: - Batches

let batchLength: UInt64 = 64

func sendInBatches(_ numbers: ClosedRange<UInt64>, by publisher: Publisher) async throws {
  var next = numbers.lowerBound
  while next <= numbers.upperBound {
    let count = min(batchLength, numbers.upperBound - next + 1)
    var batch = try await publisher.loanBatch(count: Int(count), byteCount: arguments.size)
    for index in 0..<Int(count) {
      var bytes = batch.mutableBytes(at: index)
      unsafe bytes.withUnsafeMutableBytes { unsafe poolbus_fill($0.baseAddress, next + UInt64(index)) }
    }
    try batch.publish()
    next += count
  }
}

func receiveBatch(from subscriber: Subscriber, into streams: inout Streams) async throws {
  guard let batch = try await subscriber.nextBatch() else { throw BadOrder(description: "the subscriber is closed") }
  for index in 0..<batch.count {
    let number = try batch.withBytes(at: index) { unsafe $0.withUnsafeBytes { unsafe poolbus_read($0.baseAddress) } }
    try streams.note(number, of: batch.stream)
  }
}
