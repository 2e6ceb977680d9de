import CZeroMQ
import Glibc
import Synchronization

/// A ZeroMQ context: ended when the transport and all of its sockets are gone.
@safe
final class ZeroMQContext: @unchecked Sendable {
  // Unchecked: contexts are thread-safe, by ZeroMQ's word.
  fileprivate let raw: UnsafeMutableRawPointer

  /// More than ZeroMQ opens for its threads.
  private static let descriptorCount = 16

  init() throws(TransportError) {
    guard Self.canOpenDescriptors else {
      throw TransportError(
        endpoint: "ZeroMQ", problem: "this process has too few descriptors left; raise its limit, as with ulimit -n")
    }
    // SAFETY: the context is this object's; it is ended once, in deinit.
    guard let raw = unsafe zmq_ctx_new() else {
      throw TransportError(endpoint: "ZeroMQ", problem: lastProblem())
    }
    unsafe self.raw = unsafe raw
    unsafe zmq_ctx_set(raw, ZMQ_MAX_SOCKETS, 16_384)
    unsafe zmq_ctx_set(raw, ZMQ_BLOCKY, 0)
    // The first socket starts the threads: now, while there is room for them.
    // SAFETY: the socket is closed at once, by the thread that made it.
    guard let first = unsafe zmq_socket(raw, ZMQ_SUB) else {
      throw TransportError(endpoint: "ZeroMQ", problem: lastProblem())
    }
    unsafe zmq_close(first)
  }

  /// ZeroMQ ends the process when it finds no descriptor for its threads: so look first.
  private static var canOpenDescriptors: Bool {
    // SAFETY: the kernel copies the path.
    let probes = (0..<descriptorCount).map { _ in unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) }
    for probe in probes where probe >= 0 { Glibc.close(probe) }
    return !probes.contains { $0 < 0 }
  }

  deinit {
    // SAFETY: every socket holds its context, so none is left.
    unsafe zmq_ctx_term(raw)
  }
}

/// A ZeroMQ socket, which is for one thread at a time: a lock sees to that.
final class ZeroMQSocket: Sendable {
  @safe
  private struct State: @unchecked Sendable {
    // Unchecked: used with the lock held only. Nil once it is closed.
    var raw: UnsafeMutableRawPointer?
  }

  private let context: ZeroMQContext
  private let state: Mutex<State>

  /// - Parameter endpoint: what the socket is for, for errors.
  init(_ context: ZeroMQContext, _ type: CInt, endpoint: String) throws(TransportError) {
    // SAFETY: the context lives as long as this object, which closes the socket.
    guard let raw = unsafe zmq_socket(context.raw, type) else {
      throw TransportError(endpoint: endpoint, problem: lastProblem())
    }
    self.context = context
    unsafe state = Mutex(State(raw: raw))
    // What could not be sent when a process ends is of no use: the log has it.
    set(ZMQ_LINGER, CInt(0))
  }

  func close() {
    state.withLock { state in
      // SAFETY: closed once, as it is nil afterwards.
      if let raw = unsafe state.raw { unsafe zmq_close(raw) }
      unsafe state.raw = nil
    }
  }

  func bind(_ endpoint: String) throws(TransportError) {
    // SAFETY: ZeroMQ copies the endpoint.
    unsafe try attempt(endpoint) { unsafe zmq_bind($0, endpoint) }
  }

  /// Is not to be found at the endpoint any more; the connections that came there end.
  func unbind(_ endpoint: String) {
    // Not bound is as good.
    // SAFETY: ZeroMQ copies the endpoint.
    unsafe withSocket { _ = unsafe zmq_unbind($0, endpoint) }
  }

  func connect(_ endpoint: String) throws(TransportError) {
    // SAFETY: ZeroMQ copies the endpoint.
    unsafe try attempt(endpoint) { unsafe zmq_connect($0, endpoint) }
  }

  func disconnect(_ endpoint: String) {
    // Not connected is as good.
    // SAFETY: ZeroMQ copies the endpoint.
    unsafe withSocket { _ = unsafe zmq_disconnect($0, endpoint) }
  }

  // Options that this module sets are right by construction: they can't be refused.

  func set(_ option: CInt, _ value: some FixedWidthInteger) {
    // SAFETY: ZeroMQ copies the value.
    unsafe withSocket { socket in
      unsafe withUnsafeBytes(of: value) { _ = unsafe zmq_setsockopt(socket, option, $0.baseAddress, $0.count) }
    }
  }

  func set(_ option: CInt, _ bytes: [UInt8]) {
    // SAFETY: ZeroMQ copies the bytes.
    unsafe withSocket { _ = unsafe zmq_setsockopt($0, option, bytes, bytes.count) }
  }

  var descriptor: CInt {
    var descriptor: CInt = -1
    var size = MemoryLayout<CInt>.size
    // SAFETY: both variables outlive the call.
    unsafe withSocket { _ = unsafe zmq_getsockopt($0, ZMQ_FD, &descriptor, &size) }
    return descriptor
  }

  /// - Returns: false if it was not sent.
  func send(_ bytes: RawSpan) -> Bool {
    var isSent = false
    // SAFETY: ZeroMQ copies the bytes.
    unsafe withSocket { socket in
      repeat {
        isSent = unsafe bytes.withUnsafeBytes { unsafe zmq_send(socket, $0.baseAddress, $0.count, ZMQ_DONTWAIT) } >= 0
      } while !isSent && errno == EINTR
    }
    return isSent
  }

  /// - Returns: the bytes of the next message's first part that the buffer has room for, or nil if none waits.
  func receive(into buffer: inout MutableRawSpan) -> Int? {
    state.withLock { state -> Int? in
      // SAFETY: ZeroMQ writes into the buffer, whose length goes with it, and returns the message's.
      guard let socket = unsafe state.raw else { return nil }
      let count = unsafe buffer.withUnsafeMutableBytes { buffer in
        var count: CInt
        repeat {
          count = unsafe zmq_recv(socket, buffer.baseAddress, buffer.count, ZMQ_DONTWAIT)
        } while count < 0 && errno == EINTR
        return count
      }
      guard count >= 0 else { return nil }
      unsafe skipParts(socket)
      return min(Int(count), buffer.byteCount)
    }
  }

  /// A handle is one part; what a stranger sends behind it is none of ours.
  private func skipParts(_ socket: UnsafeMutableRawPointer) {
    var more: CInt = 0
    var size = MemoryLayout<CInt>.size
    // SAFETY: the variables outlive the calls; a message of no room is cut to nothing.
    while unsafe zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0, more != 0 {
      guard unsafe zmq_recv(socket, nil, 0, ZMQ_DONTWAIT) >= 0 else { return }
    }
  }

  private func attempt(_ endpoint: String, _ body: (UnsafeMutableRawPointer) -> CInt) throws(TransportError) {
    let problem: String? = state.withLock { state in
      guard let socket = unsafe state.raw else { return "it was closed" }
      return unsafe body(socket) == 0 ? nil : lastProblem()
    }
    if let problem { throw TransportError(endpoint: endpoint, problem: problem) }
  }

  private func withSocket(_ body: (UnsafeMutableRawPointer) -> Void) {
    state.withLock { state in
      if let socket = unsafe state.raw { unsafe body(socket) }
    }
  }
}

private func lastProblem() -> String {
  // SAFETY: ZeroMQ's texts are constants.
  unsafe String(cString: zmq_strerror(zmq_errno()))
}
