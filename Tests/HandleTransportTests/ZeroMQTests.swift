import CZeroMQ
import Foundation
import Glibc
import HandleTransport
import Platform
import Testing

/// What strangers can do to ZeroMQ's sockets, and what the system can refuse.
@Suite struct ZeroMQTests {
  @Test(arguments: 0..<8) func garbageOnTheSocketDisturbsNobody(round: UInt64) throws {
    let seed = UInt64.random(in: .min ... .max)
    print("garbage of round \(round) from seed \(seed)")
    var random = SplitMix(state: seed)
    let world = try World(.zeroMQ)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    for number in 0..<20 {
      let stranger = try Stranger(path: world.path())
      // Half begin as a peer that speaks the protocol, and go wrong later.
      if number.isMultiple(of: 2) { stranger.write(Stranger.greeting) }
      stranger.write(
        (0..<Int.random(in: 1...4096, using: &random)).map { _ in .random(in: .min ... .max, using: &random) })
      sender.send("handle \(number)")
      #expect(try inbox.next() == "handle \(number)", "seed \(seed)")
      if number.isMultiple(of: 3) { stranger.write([UInt8](repeating: 0xff, count: 64)) }
    }
    #expect(inbox.take() == nil)
    let late = try world.inbox(from: "a", prefixes: [""])
    try late.meet(sender, greeting: "late")
  }

  @Test func messageOfManyPartsIsItsFirst() throws {
    let world = try World(.zeroMQ)
    let inbox = try world.inbox(from: "a", prefixes: [""])
    let stranger = try Publisher(endpoint: world.endpoint())
    try inbox.meet(stranger, greeting: "hello")
    stranger.send(parts: ["one", "surplus", "", "more surplus"])
    stranger.send(parts: ["", "two"])
    stranger.send(parts: ["three"])
    #expect(try inbox.next(3) == ["one", "", "three"])
    #expect(inbox.take() == nil)
  }

  /// Who sends one is not heard again by this receiver, unless that connects anew.
  @Test func messageLongerThanAnyHandleEndsItsConnectionAlone() throws {
    let world = try World(.zeroMQ)
    let (bad, good) = (try world.sender("bad"), try world.sender("good"))
    let inbox = try world.inbox(from: "bad", "good", prefixes: [""])
    try inbox.meet(bad, greeting: "bad")
    try inbox.meet(good, greeting: "good")
    bad.send(String(repeating: "x", count: 1025))
    for number in 0..<100 {
      good.send("handle \(number)")
      #expect(try inbox.next() == "handle \(number)")
    }
    inbox.receiver.disconnect(from: world.endpoint("bad"))
    try inbox.receiver.connect(to: world.endpoint("bad"))
    try inbox.meet(bad, greeting: "again")
  }

  @Test(arguments: [
    "nonsense", "ipc://", "tcp://", "ipc:///nowhere/at/all", "ipc:///tmp/" + String(repeating: "x", count: 200),
  ])
  func impossibleEndpointIsAnErrorThatNamesIt(endpoint: String) throws {
    let transport = try ZeroMQTransport()
    let error = #expect(throws: TransportError.self) { _ = try transport.sender(at: endpoint) }
    #expect(error?.endpoint == endpoint)
    #expect(error?.problem.isEmpty == false)
  }

  @Test func receiversErrorNamesTheEndpoint() throws {
    let receiver = try ZeroMQTransport().receiver()
    let error = #expect(throws: TransportError.self) { try receiver.connect(to: "nonsense") }
    #expect(error?.endpoint == "nonsense")
  }
}

/// A process that found the socket's path and writes what it likes.
private struct Stranger: ~Copyable {
  /// The first bytes of ZMTP 3.0, with the NULL mechanism.
  static let greeting: [UInt8] =
    [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0] + Array("NULL".utf8) + [UInt8](repeating: 0, count: 48)

  private let socket: OwnedDescriptor

  init(path: String) throws {
    socket = OwnedDescriptor(adopting: Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // SAFETY: the path fits, as ZeroMQ bound to it; the address outlives the call.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let result = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe connect(socket.raw, address, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw Errno(rawValue: errno) }
  }

  /// As far as the other side takes it: it may have hung up already.
  func write(_ bytes: [UInt8]) {
    // SAFETY: the kernel copies the bytes before the call returns.
    _ = unsafe Glibc.send(socket.raw, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
  }
}

/// A publisher that is not PoolBus's.
@safe
private final class Publisher: HandleSender, @unchecked Sendable {
  // Unchecked: used by one test on one thread.
  let endpoint: String
  private let context: UnsafeMutableRawPointer
  private let socket: UnsafeMutableRawPointer
  var sentCount: UInt64 { 0 }
  var sentByteCount: UInt64 { 0 }
  func move(to endpoint: String) {}

  init(endpoint: String) throws {
    self.endpoint = endpoint
    // SAFETY: both are this object's until deinit.
    unsafe context = zmq_ctx_new()
    unsafe socket = zmq_socket(context, ZMQ_PUB)
    guard unsafe zmq_bind(socket, endpoint) == 0 else { throw Errno(rawValue: errno) }
  }

  deinit {
    unsafe zmq_close(socket)
    unsafe zmq_ctx_term(context)
  }

  func send(_ handle: RawSpan) {
    // SAFETY: ZeroMQ copies the bytes.
    _ = unsafe handle.withUnsafeBytes { unsafe zmq_send(socket, $0.baseAddress, $0.count, ZMQ_DONTWAIT) }
  }

  func send(parts: [String]) {
    for (index, part) in parts.enumerated() {
      let flags = index < parts.count - 1 ? ZMQ_SNDMORE : 0
      // SAFETY: ZeroMQ copies the bytes.
      _ = unsafe zmq_send(socket, part, part.utf8.count, flags)
    }
  }

  func close() {}
}

/// Random bytes that a seed brings back.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
