import BusProtocol
import HandleTransport

/// Announces what a client's publishers have committed: by a handle at the bells of those who sleep, or by one over ZeroMQ
/// to all who listen.
final class Announcer: Sendable {
  private let handles: any HandleSender
  private let ringer = BellRinger()

  init(_ handles: any HandleSender) { self.handles = handles }

  func announce(_ handle: Handle, to calls: Calls) {
    var bytes = InlineArray<64, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var room = unsafe span.mutableBytes
    let count = HandleCodec.encode(handle, into: &room)
    announce(room.bytes.extracting(first: count), to: calls)
  }

  private func announce(_ handle: RawSpan, to calls: Calls) {
    var reachesAll = !calls.needZeroMQ
    for index in 0..<calls.count {
      guard let bell = calls.bells[index] else { continue }
      if !ringer.ring(bell, with: handle) { reachesAll = false }
    }
    if !reachesAll { handles.send(handle) }
  }

  /// The node, perhaps a new one, wants the handles that go over ZeroMQ to come from there.
  func move(to endpoint: String) throws(TransportError) { try handles.move(to: endpoint) }

  /// Handles that were sent, and their bytes.
  var sent: (count: UInt64, byteCount: UInt64) {
    (handles.sentCount + ringer.sentCount, handles.sentByteCount + ringer.sentByteCount)
  }

  /// Handles that went to all who listen.
  var sentOverZeroMQ: UInt64 { handles.sentCount }

  /// Nothing goes over ZeroMQ any more.
  func close() { handles.close() }
}

/// Who is to be told of a commit.
struct Calls {
  /// So many clients are rung one by one. More are reached by one send, and ZeroMQ's thread does the rest.
  static let most = 8

  private(set) var bells = InlineArray<8, String?>(repeating: nil)
  /// Also those for whose bells there is no room any more.
  private var clients = 0
  private var callsAll = false

  /// How many bells are to be rung.
  var count: Int { isCrowd ? 0 : clients }
  /// Somebody wants every handle, or has no bell; or there are too many.
  var needZeroMQ: Bool { callsAll || isCrowd }
  private var isCrowd: Bool { clients > Self.most }

  mutating func callAll() { callsAll = true }

  /// - Parameter bell: of the client; once for all of its subscriptions, as it looks at each.
  mutating func call(_ bell: String) {
    guard !bell.isEmpty else { return callAll() }
    for index in 0..<min(clients, Self.most) where bells[index] == bell { return }
    if clients < Self.most { bells[clients] = bell }
    clients += 1
  }
}
