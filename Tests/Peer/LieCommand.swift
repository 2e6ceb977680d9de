import ArgumentParser
import BusProtocol
import Glibc
import Platform
import PoolBus

/// A client that claims to be of the node before, and offers forged memory as a segment. Says `refused WHY`, with the
/// node's own words, and waits to be ended.
struct LieCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "lie")

  enum Forgery: String, ExpressibleByArgument {
    case nothing, pipe
    case otherName = "other-name"
    case otherStream = "other-stream"
    case otherTopic = "other-topic"
    case openLength = "open-length"
    case noPages = "no-pages"
    case noHeader = "no-header"
  }

  @Argument var forgery: Forgery
  @Option var socket: String

  private static let stream = StreamID(rawValue: 77 << 32 | 1)
  private static let segment = SegmentIdentity(id: SegmentID(rawValue: 77 << 32 | 2), epoch: 1)
  private static let topic = "lies"
  private static let byteCount = 65_536

  func run() async throws {
    let orders = try Orders()
    let liar = try Liar(socket)
    try liar.say(.hello(Hello(name: "liar")))
    try liar.say(
      .rejoinPublisher(
        RejoinPublisher(
          stream: Self.stream, topic: try TopicName(Self.topic), whenFull: .fail, retention: nil, lastSequence: 0,
          listeners: [])))
    let offer = OfferSegment(
      segment: Self.segment, capacity: UInt64(Self.byteCount), stream: Self.stream, use: .writing(isSealed: true))
    try liar.say(.offerSegment(offer), descriptor: try memory())
    say("refused", try await liar.refusal() ?? "nothing")
    while let order = await orders.next() { throw Misunderstanding(order: order) }
  }

  private func memory() throws -> OwnedDescriptor? {
    let name = name(of: Self.stream, Self.topic)
    switch forgery {
    case .nothing: return nil
    case .pipe:
      var ends: [CInt] = [-1, -1]
      // SAFETY: the call fills both elements.
      guard unsafe Glibc.pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
      _ = OwnedDescriptor(adopting: ends[1])
      return OwnedDescriptor(adopting: ends[0])
    case .otherName: return try file("poolbus-segment-1")
    case .otherStream: return try file(self.name(of: StreamID(rawValue: 77 << 32 | 3), Self.topic))
    case .otherTopic: return try file(self.name(of: Self.stream, "truth"))
    case .openLength: return try file(name, seals: [])
    case .noPages: return try file(name, backed: false)
    case .noHeader: return try file(name)
    }
  }

  /// As a node names the file.
  private func name(of stream: StreamID, _ topic: String) -> String {
    "poolbus-segment-\(Self.segment.id.rawValue)-\(stream.text)-\(topic)"
  }

  private func file(
    _ name: String, backed: Bool = true, seals: MemoryFile.Seals = [.shrink, .grow]
  ) throws -> OwnedDescriptor {
    let file = try MemoryFile.create(name: name, byteCount: Self.byteCount)
    if backed { try MemoryFile.populate(file.raw, byteCount: Self.byteCount) }
    if !seals.isEmpty { try MemoryFile.addSeals(file.raw, seals) }
    return file
  }
}

/// A client that says what a test wants, as bytes on the node's socket.
private final class Liar {
  private let socket: PacketSocket

  init(_ path: String) throws { socket = try PacketSocket.connect(to: path) }

  func say(_ message: ClientMessage, descriptor: consuming OwnedDescriptor? = nil) throws {
    let bytes = try message.encoded()
    let raw: CInt? =
      switch descriptor {
      case .some(let descriptor): descriptor.raw
      case .none: nil
      }
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    guard case .sent = try socket.send(unsafe span.bytes, descriptor: raw) else { throw BusError.nodeLost }
  }

  /// The node's reason to end the conversation; nil if it ends without one.
  func refusal() async throws -> String? {
    var found: String?
    while true {
      switch try receive() {
      case .nothing: try await Task.sleep(for: .milliseconds(1))
      case .end: return found
      case .message(.refusal(let refusal)): found = refusal.message
      case .message: break
      }
    }
  }

  private enum Heard {
    case nothing
    case message(NodeMessage)
    case end
  }

  private func receive() throws -> Heard {
    var buffer = [UInt8](repeating: 0, count: PacketSocket.maximumPacketByteCount)
    var length = 0
    do {
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes has no padding.
      var bytes = unsafe span.mutableBytes
      switch try socket.receive(into: &bytes) {
      case .wouldBlock: return .nothing
      case .closed: return .end
      case .damaged(let problem): throw BusError.refused(problem)
      case .packet(let count, _): length = count
      }
    }
    let packet = buffer.span.extracting(first: length)
    // SAFETY: as above.
    return .message(try NodeMessage.decode(unsafe packet.bytes))
  }
}
