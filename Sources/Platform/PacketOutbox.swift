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

  private var waiting: [Packet] = []
  private var sent = 0
  private var byteCount = 0
  /// Descriptors of packets that wait.
  public private(set) var descriptorCount = 0

  public init() {}

  public var isEmpty: Bool { waiting.isEmpty }

  /// Sends the packet, or keeps it behind those that wait.
  ///
  /// - Parameter descriptor: borrowed; a packet that has to wait keeps a duplicate of it.
  /// - Returns: false if the connection is over, or the limit is reached.
  public mutating func send(_ bytes: [UInt8], descriptor: CInt?, over socket: borrowing PacketSocket) -> Bool {
    do {
      if isEmpty {
        switch try send(bytes, descriptor, socket) {
        case .sent: return true
        case .closed: return false
        case .wouldBlock: break
        }
      }
      guard waiting.count < Self.limit, byteCount + bytes.count <= Self.byteLimit else { return false }
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
      guard let result = try? send(packet.bytes, packet.raw, socket), result != .closed else { return false }
      if result == .wouldBlock { return true }
      sent += 1
      byteCount -= packet.bytes.count
      if packet.raw != nil { descriptorCount -= 1 }
    }
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
  }
}
