/// Packets that the other side had no room for yet, in order, with their descriptors.
///
/// Bounded: who leaves so much unread is given up, so that a stopped peer can't fill this process's memory.
public struct PacketOutbox: ~Copyable, Sendable {
  /// Packets that may wait.
  public static let limit = 16_384
  /// Their bytes.
  public static let byteLimit = 32 << 20

  private final class Packet: Sendable {
    let bytes: [UInt8]
    let descriptor: OwnedDescriptor?
    /// The descriptor's number, to borrow it by.
    let raw: CInt?

    init(_ bytes: [UInt8], _ descriptor: consuming OwnedDescriptor?) {
      self.bytes = bytes
      raw = descriptor?.raw
      self.descriptor = descriptor
    }
  }

  /// What packets wait for.
  public enum Obstacle: Sendable {
    /// Room: the socket is writable as soon as there is some.
    case room
    /// That others read descriptors of this user's, of which too many are under way. The socket is writable meanwhile, and
    /// nothing tells of the end: try again after ``PacketOutbox/pauseNanoseconds``.
    case descriptorsUnderWay
  }

  /// After which to try again what no readiness tells of.
  public static let pauseNanoseconds: UInt64 = 10_000_000

  private var waiting: [Packet] = []
  private var sent = 0
  private var byteCount = 0
  /// What did not count, until nothing waits any more.
  private var unbounded = (packets: 0, bytes: 0)
  /// Descriptors of packets that wait.
  public private(set) var descriptorCount = 0

  public init() {}

  public var isEmpty: Bool { waiting.isEmpty }
  /// What the first packet that waits waited for when it was tried last; nil if none waits.
  public private(set) var obstacle: Obstacle?

  /// Sends the packet, or keeps it behind those that wait.
  ///
  /// - Parameters:
  ///   - descriptor: borrowed; a packet that has to wait keeps a duplicate of it.
  ///   - isBounded: else it may wait whatever the limit is, and does not count: for what has an end.
  /// - Returns: false if the connection is over, or the limit is reached.
  public mutating func send(
    _ bytes: [UInt8], descriptor: CInt?, isBounded: Bool = true, over socket: borrowing PacketSocket
  ) -> Bool {
    do {
      if isEmpty {
        switch try send(bytes, descriptor, socket) {
        case .sent: return true
        case .closed: return false
        case .wouldBlock: obstacle = .room
        case .tooManyDescriptorsUnderWay: obstacle = .descriptorsUnderWay
        }
      }
      if !isBounded {
        unbounded.packets += 1
        unbounded.bytes += bytes.count
      }
      guard waiting.count < Self.limit + unbounded.packets, byteCount + bytes.count <= Self.byteLimit + unbounded.bytes
      else { return false }
      byteCount += bytes.count
      if descriptor != nil { descriptorCount += 1 }
      waiting.append(Packet(bytes, try descriptor.map { raw throws(Errno) in try OwnedDescriptor.duplicating(raw) }))
      return true
    } catch {
      return false
    }
  }

  /// Sends what waits, as far as there is room.
  /// - Returns: false if the connection is over.
  public mutating func flush(over socket: borrowing PacketSocket) -> Bool {
    defer { dropSent() }
    while sent < waiting.count {
      let packet = waiting[sent]
      guard let result = try? send(packet.bytes, packet.raw, socket) else { return false }
      switch result {
      case .sent: break
      case .closed: return false
      case .wouldBlock:
        obstacle = .room
        return true
      case .tooManyDescriptorsUnderWay:
        obstacle = .descriptorsUnderWay
        return true
      }
      sent += 1
      byteCount -= packet.bytes.count
      if packet.raw != nil { descriptorCount -= 1 }
    }
    obstacle = nil
    return true
  }

  private func send(
    _ bytes: [UInt8], _ descriptor: CInt?, _ socket: borrowing PacketSocket
  ) throws(Errno) -> PacketSocket.SendResult {
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    return try socket.send(unsafe span.bytes, descriptor: descriptor)
  }

  private mutating func dropSent() {
    waiting.removeFirst(sent)
    sent = 0
    if isEmpty { unbounded = (0, 0) }
  }
}
