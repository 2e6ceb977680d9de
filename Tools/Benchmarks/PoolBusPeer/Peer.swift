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

/// The pool is large enough for a window of the largest payloads, and small enough to stay in memory.
let contribution: UInt64 = 8 << 30

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

// MARK: - Latency

func ping() async throws {
  let bus = try await connect()
  let publisher = try await bus.publisher(for: "ping")
  let subscriber = try await bus.subscriber(to: "pong", options: arguments.subscriberOptions)
  say("ready")
  var number: UInt64 = 0
  while let count = nextRound() {
    let cpu = peer_cpu()
    var samples = [UInt64](repeating: 0, count: count)
    for index in 0..<count {
      number += 1
      let start = peer_now()
      try await send(number, by: publisher)
      guard try await receive(from: subscriber) == number else { throw BadOrder(description: "another answer") }
      samples[index] = (peer_now() - start) / 2
    }
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
    say("armed")
    let cpu = peer_cpu()
    for _ in 0..<count {
      let number = try await receive(from: subscriber)
      try await send(number, by: publisher)
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
  // Each topic is in use: it has a segment, and its subscribers know it.
  for publisher in publishers.dropFirst() { try await send(0, by: publisher) }
  let publisher = publishers[0]
  say("ready")
  var number: UInt64 = 0
  while let count = nextRound() {
    let cpu = peer_cpu()
    let start = peer_now()
    for _ in 0..<count {
      number += 1
      try await send(number, by: publisher)
    }
    say("done start=\(start) cpu=\(peer_cpu() - cpu)")
  }
  await bus.close()
}

func sink() async throws {
  let bus = try await connect()
  let subscriber = try await bus.subscriber(to: "work/**", options: arguments.subscriberOptions)
  say("ready")
  var total = 0
  while let count = nextRound() {
    say("armed")
    let cpu = peer_cpu()
    var remaining = count * arguments.publishers
    total += remaining
    // What a bus that drops says nothing of would show here: nothing more would come.
    while remaining > 0 {
      if try await receive(from: subscriber) > 0 { remaining -= 1 }
    }
    say("done end=\(peer_now()) messages=\(count * arguments.publishers) lost=0 cpu=\(peer_cpu() - cpu)")
  }
  await bus.close()
}

// MARK: - A message

func send(_ number: UInt64, by publisher: Publisher) async throws {
  var loan = try await publisher.loan(byteCount: arguments.size)
  var bytes = loan.mutableBytes
  unsafe bytes.withUnsafeMutableBytes { unsafe arguments.fill($0.baseAddress, number) }
  try loan.publish()
}

/// The number of the next message, read as far as `--touch` says.
func receive(from subscriber: Subscriber) async throws -> UInt64 {
  guard let sample = try await subscriber.next() else { throw BadOrder(description: "the subscriber is closed") }
  return unsafe sample.bytes.withUnsafeBytes { unsafe arguments.read($0.baseAddress) }
}
