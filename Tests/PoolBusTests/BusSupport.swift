import Foundation
import HandleTransport
import Testing

@testable import PoolBus

/// A bus with a node of its own in this process; afterwards its pool must be empty and its directory clean.
func withBus(
  contribution: UInt64 = 64 << 20, _ body: (Bus) async throws -> Void
) async throws {
  try await withNode(contribution: contribution) { bus, _, _ in try await body(bus) }
}

/// - Parameter body: is told, too, how others connect to the same node.
func withNode(
  contribution: UInt64 = 64 << 20, _ body: (Bus, BusConfiguration, InProcessTransport) async throws -> Void
) async throws {
  let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
  let configuration = BusConfiguration(
    socketPath: "\(directory)/node.sock", embeddedNode: .init(contribution: contribution))
  let transport = InProcessTransport()
  let bus = try await Bus.connect(configuration, transport: transport)
  try await body(bus, configuration, transport)
  await bus.close()
  #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
  try FileManager.default.removeItem(atPath: directory)
}

struct Received {
  var bytes: [UInt8]
  var attributes: MessageAttributes
  var topic: TopicName
  var stream: StreamID
  var sequence: UInt64
  var publishTime: UInt64
}

/// A copy of the next message.
func nextBytes(_ subscriber: Subscriber) async throws -> Received? {
  guard let sample = try await subscriber.next() else { return nil }
  // SAFETY: the bytes are copied while they are borrowed.
  let bytes = unsafe sample.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
  return Received(
    bytes: bytes, attributes: try sample.attributes(), topic: sample.topic, stream: sample.stream,
    sequence: sample.sequence, publishTime: sample.publishTime)
}

/// Holds a sample where the test macros need a value that can be copied.
final class HeldSample {
  private let sample: Sample
  init(_ sample: consuming Sample) { self.sample = sample }
  func check(_ body: (borrowing Sample) throws -> Void) rethrows { try body(sample) }
}

func firstSample(_ subscriber: Subscriber) async throws -> HeldSample? {
  guard let sample = try await subscriber.next() else { return nil }
  return HeldSample(sample)
}

/// The error that publishing ends with; nil if it is published.
func failure(publishing loan: consuming Loan, byteCount: Int? = nil) -> BusError? {
  do throws(BusError) {
    if let byteCount { try loan.publish(byteCount: byteCount) } else { try loan.publish() }
    return nil
  } catch {
    return error
  }
}

extension Subscriber {
  /// Returns once a task waits for the next message.
  func untilSomebodyWaits() async {
    while !core.state.withLock({ $0.waiting != nil }) { await Task.yield() }
  }
}

extension RawSpan {
  /// Where the bytes lie.
  var address: Int {
    // SAFETY: only the number is used.
    unsafe withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
  }
}

/// Holds a loan where a collection needs a value that can be copied.
final class HeldLoan {
  private var loan: Loan?
  init(_ loan: consuming Loan) { self.loan = consume loan }
  func publish() throws { try loan.take()?.publish() }
}

/// Holds a batch where the test macros need a value that can be copied.
final class HeldBatch {
  let firstSequence: UInt64
  /// Each message's last byte.
  let lastBytes: [UInt8]

  /// Nil if there is no batch.
  init?(_ batch: consuming SampleBatch?) throws {
    guard let batch = batch.take() else { return nil }
    firstSequence = batch.firstSequence
    var bytes: [UInt8] = []
    for index in 0..<batch.count {
      let last = try batch.withBytes(at: index) { payload in
        // SAFETY: within the payload; any byte is a UInt8.
        unsafe payload.unsafeLoad(fromByteOffset: payload.byteCount - 1, as: UInt8.self)
      }
      bytes.append(last)
    }
    lastBytes = bytes
  }
}
