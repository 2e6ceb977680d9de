import Foundation
import Glibc
import HandleTransport
import Platform
import Testing

/// The transports that the conformance suite is run against.
enum Kind: String, CaseIterable, CustomTestStringConvertible {
  case zeroMQ, inProcess

  var testDescription: String { rawValue }
}

/// A transport with endpoints of a test's own.
struct World: ~Copyable {
  let transport: any HandleTransport
  let directory: String

  init(_ kind: Kind) throws {
    var template = [CChar]("/tmp/poolbus-handles-XXXXXX".utf8CString)
    let transport: any HandleTransport =
      switch kind {
      case .zeroMQ: try ZeroMQTransport()
      case .inProcess: InProcessTransport()
      }
    // SAFETY: the call fills in the template's end.
    guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
    self.transport = transport
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func path(_ name: String = "a") -> String { directory + "/" + name }

  func endpoint(_ name: String = "a") -> String { "ipc://" + path(name) }

  func sender(_ name: String = "a") throws -> any HandleSender { try transport.sender(at: endpoint(name)) }

  func inbox(from names: String..., prefixes: [String] = []) throws -> Inbox {
    let receiver = try transport.receiver()
    for name in names { try receiver.connect(to: endpoint(name)) }
    for prefix in prefixes { receiver.subscribe(prefix: Array(prefix.utf8)) }
    return try Inbox(receiver)
  }
}

/// No answer within a test's patience.
struct OutOfPatience: Error {}

/// A receiver and the one way to wait for it: its descriptor. Handles are texts.
final class Inbox {
  /// Guards against waiting for ever; no test depends on how long anything takes.
  private static let patience: UInt64 = 30_000_000_000

  let receiver: any HandleReceiver
  private let poller: Poller

  init(_ receiver: any HandleReceiver) throws {
    self.receiver = receiver
    poller = try Poller()
    try poller.add(receiver.descriptor, token: 0, .readable)
  }

  /// What waits now.
  func take(room: Int = 256) -> String? {
    var buffer = [UInt8](repeating: 0, count: room)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes takes any bytes.
    var bytes = unsafe span.mutableBytes
    guard let count = receiver.receive(into: &bytes) else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  func takeAll() -> [String] { Array(sequence(state: self) { $0.take() }) }

  /// The next handle, whenever it comes.
  func next(room: Int = 256) throws -> String {
    let deadline = Clock.monotonicNanoseconds + Self.patience
    while true {
      if let handle = take(room: room) { return handle }
      guard Clock.monotonicNanoseconds < deadline else { throw OutOfPatience() }
      try poller.wait(timeoutNanoseconds: Self.patience) { _ in }
    }
  }

  func next(_ count: Int) throws -> [String] { try (0..<count).map { _ in try next() } }

  /// Sends again and again until the first arrives: connections and subscriptions are made behind the scenes, and what
  /// is sent before is lost. Later copies of `greeting` that are still on their way are taken, too, up to `last`.
  func meet(_ sender: any HandleSender, greeting: String) throws {
    let deadline = Clock.monotonicNanoseconds + Self.patience
    var arrived: String?
    while arrived == nil {
      guard Clock.monotonicNanoseconds < deadline else { throw OutOfPatience() }
      sender.send(greeting)
      // An event, mostly; the limit is for what was sent before the connection was made.
      try poller.wait(timeoutNanoseconds: 5_000_000) { _ in }
      arrived = take()
    }
    let last = greeting + "-last"
    sender.send(last)
    while arrived != last {
      guard arrived == greeting else { throw Unexpected(handle: arrived) }
      arrived = try next()
    }
  }
}

struct Unexpected: Error {
  let handle: String?
}

extension HandleSender {
  func send(_ text: String) {
    let bytes = Array(text.utf8)
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    send(unsafe span.bytes)
  }
}
