import CPeer
import Glibc
import Platform
import Synchronization
import Testing

/// A descriptor that closes itself, held where copies are needed.
final class Descriptor: Sendable {
  let raw: CInt
  init(_ raw: CInt) { self.raw = raw }
  deinit { close(raw) }
}

/// A client written against `Schemas` and nothing of ours: it says what it is told to say, true or not.
///
/// The node sees it as a process of its own, which ends with it.
final class Liar: Sendable {
  private let socket: Descriptor
  private let process: (id: pid_t, life: Descriptor)?
  private let lastRequest = Mutex<UInt64>(0)
  /// What was received and not asked for yet.
  private let unread = Mutex<[Answer]>([])

  /// Connects, and says nothing yet.
  ///
  /// - Parameter isProcess: else it is this process that connects, which is much quicker.
  init(_ path: String, isProcess: Bool = true) throws {
    var raw: CInt = -1
    // SAFETY: the calls copy the path, and fill the variables.
    if isProcess {
      var life: CInt = -1
      let id = unsafe poolbus_raw_connect_as_process(path, &raw, &life)
      process = id > 0 ? (id, Descriptor(life)) : nil
    } else {
      raw = unsafe poolbus_raw_connect(path)
      process = nil
    }
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    socket = Descriptor(raw)
  }

  deinit { if let process { poolbus_raw_end_process(process.id) } }

  /// One that has joined.
  static func join(_ path: String, isProcess: Bool = true) async throws -> Liar {
    let liar = try Liar(path, isProcess: isProcess)
    liar.say(Say.hello())
    let welcome = try await liar.hear(.welcome)
    liar.endpoint.withLock { $0 = welcome.text(3) }
    return liar
  }

  /// Where it was told to publish handles.
  let endpoint = Mutex("")

  func nextRequest() -> UInt64 {
    lastRequest.withLock { last in
      last += 1
      return last
    }
  }

  // MARK: - Talking

  /// Sends a packet; 0, or the errno. The socket never blocks.
  @discardableResult
  func say(_ bytes: [UInt8], _ descriptors: [CInt] = []) -> CInt {
    // SAFETY: both arrays outlive the call.
    unsafe poolbus_raw_send(socket.raw, bytes, bytes.count, descriptors, CInt(descriptors.count))
  }

  /// Sends a packet as soon as there is room for it.
  func insist(_ bytes: [UInt8], _ descriptors: [CInt] = []) async throws {
    try await eventually("the node reads") {
      switch say(bytes, descriptors) {
      case 0, EPIPE, ECONNRESET: true
      default: false
      }
    }
  }

  enum Heard {
    case answer(Answer)
    case nothing
    case end
  }

  /// What came next, if anything did.
  func listen() -> Heard {
    if let kept = unread.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return .answer(kept) }
    return receive()
  }

  private func receive() -> Heard {
    var descriptor: CInt = -1
    // SAFETY: the call writes into the room, whose length goes with it, and says how many bytes it wrote.
    let (count, bytes) = unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { room in
      let count = unsafe poolbus_raw_receive(socket.raw, room.baseAddress, room.count, &descriptor)
      return unsafe (count, [UInt8](room.prefix(max(count, 0))))
    }
    if count == -Int(EAGAIN) { return .nothing }
    guard count > 0 else { return .end }
    let kept = descriptor >= 0 ? Descriptor(descriptor) : nil
    guard let answer = Answer(bytes, kept) else {
      Issue.record("the node said what can't be read")
      return .end
    }
    return .answer(answer)
  }

  /// Waits for the next answer of a kind; keeps what comes before it for later.
  func hear(_ kind: Answer.Kind, _ location: SourceLocation = #_sourceLocation) async throws -> Answer {
    var found = unread.withLock { kept in
      kept.firstIndex { $0.kind == kind }.map { kept.remove(at: $0) }
    }
    try await eventually("the node says \(kind)", location) {
      while found == nil {
        switch receive() {
        case .answer(let answer) where answer.kind == kind: found = answer
        case .answer(let answer) where answer.kind == .refusal && answer[1] == 0:
          throw Unexpected("was sent away: \(answer.text(3))")
        case .answer(let answer): unread.withLock { $0.append(answer) }
        case .nothing: return false
        case .end: throw Unexpected("the conversation ended before \(kind)")
        }
      }
      return true
    }
    return try #require(found, sourceLocation: location)
  }

  /// Waits for the node to end the conversation.
  ///
  /// - Returns: the last refusal, if there was one.
  @discardableResult
  func hearEnd(_ location: SourceLocation = #_sourceLocation) async throws -> Answer? {
    var last: Answer?
    try await eventually("the node ends the conversation", location) {
      while true {
        switch listen() {
        case .answer(let answer): if answer.kind == .refusal { last = answer }
        case .nothing: return false
        case .end: return true
        }
      }
    }
    return last
  }

  /// Whether the node still talks with it: what it was told so far, it has then worked off.
  func isHeard(_ location: SourceLocation = #_sourceLocation) async throws -> Bool {
    try await insist(Say.inspect(nextRequest()))
    var isHeard: Bool?
    try await eventually("the node answers or ends the conversation", location) {
      while true {
        switch receive() {
        case .answer(let answer) where answer.kind == .snapshot && answer[2] == 1:
          isHeard = true
          return true
        case .answer(let answer): unread.withLock { $0.append(answer) }
        case .nothing: return false
        case .end:
          isHeard = false
          return true
        }
      }
    }
    return isHeard ?? false
  }

  /// What it was told last before it was sent away.
  var lastRefusal: Answer? { unread.withLock { $0.last { $0.kind == .refusal } } }

  // MARK: - As a client would

  func openPublisher(_ topic: String, policy: UInt64 = 0, retention: [UInt8]? = nil) async throws -> UInt64 {
    say(Say.openPublisher(nextRequest(), topic: Array(topic.utf8), policy: policy, retention: retention))
    return try await hear(.publisherOpened)[2]
  }

  func subscribe(_ pattern: String, wantsRetained: Bool = false) async throws -> UInt64 {
    say(Say.subscribe(nextRequest(), pattern: Array(pattern.utf8), wantsRetained: wantsRetained ? 1 : 0))
    return try await hear(.subscribed)[2]
  }

  func lease(_ stream: UInt64, capacity: UInt64 = 65_536) async throws -> Leased {
    say(Say.requestLease(nextRequest(), stream: stream, capacity: capacity))
    return try Leased(try await hear(.leaseGranted))
  }

  /// A segment that it may write, mapped, and said to be ready.
  func leaseReady(_ stream: UInt64, capacity: UInt64 = 65_536) async throws -> Leased {
    let leased = try await lease(stream, capacity: capacity)
    say(Say.segmentReady(leased.segment, epoch: leased.epoch))
    return leased
  }
}

struct Unexpected: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Waits until a condition holds; its change is no event that one could wait for.
func eventually(
  _ what: Comment, _ location: SourceLocation = #_sourceLocation, _ holds: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(15)
  while try await !holds() {
    guard ContinuousClock.now < deadline else {
      Issue.record("still not so: \(what)", sourceLocation: location)
      throw Unexpected("\(what)")
    }
    try await Task.sleep(for: .microseconds(200))
  }
}
