import CPlatform
import Glibc

/// A connected SOCK_SEQPACKET socket of the Unix domain: packets with a descriptor beside them. Never blocks.
public struct PacketSocket: ~Copyable, Sendable {
  /// Bytes of the largest packet; both sides check it.
  public static let maximumPacketByteCount = 65_536
  /// Bytes of the longest path that a socket can have.
  public static let maximumPathByteCount = 107

  private let descriptor: OwnedDescriptor

  init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

  public static func connect(to path: String) throws(SocketError) -> PacketSocket {
    do throws(Errno) {
      let socket = OwnedDescriptor(adopting: try check(poolbus_packet_socket()))
      // SAFETY: the kernel copies the path before the call returns.
      _ = try check(unsafe poolbus_connect(socket.raw, path))
      return PacketSocket(socket)
    } catch {
      throw SocketError(error, path: path)
    }
  }

  /// Two ends that are connected with each other.
  public struct Pair: ~Copyable, Sendable {
    public let first: PacketSocket
    public let second: PacketSocket

    public init() throws(Errno) {
      var ends: [CInt] = [-1, -1]
      // SAFETY: the call fills the two elements.
      _ = try check(
        unsafe socketpair(
          AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends))
      first = PacketSocket(OwnedDescriptor(adopting: ends[0]))
      second = PacketSocket(OwnedDescriptor(adopting: ends[1]))
    }

    /// Gives both ends to their owners.
    public consuming func split(_ body: (consuming PacketSocket, consuming PacketSocket) -> Void) {
      body(first, second)
    }
  }

  public var raw: CInt { descriptor.raw }

  public enum SendResult: Sendable {
    case sent
    /// The other side must read first.
    case wouldBlock
    /// This user has as many descriptors under way, over all sockets, as a process may have open: some must be read first.
    case tooManyDescriptorsUnderWay
    case closed
  }

  /// Sends one packet.
  ///
  /// - Parameter sent: a descriptor to go with it; the other side gets its own copy.
  public borrowing func send(_ bytes: RawSpan, descriptor sent: CInt? = nil) throws(Errno) -> SendResult {
    // SAFETY: the kernel copies the bytes before the call returns.
    let result = unsafe bytes.withUnsafeBytes { buffer in
      unsafe poolbus_send_packet(descriptor.raw, buffer.baseAddress, buffer.count, sent ?? -1)
    }
    if result >= 0 { return .sent }
    switch Errno(rawValue: errno) {
    case .resourceTemporarilyUnavailable: return .wouldBlock
    case .tooManyReferences: return .tooManyDescriptorsUnderWay
    case .brokenPipe, .connectionReset, .socketNotConnected: return .closed
    case let error: throw error
    }
  }

  public enum Received: ~Copyable {
    /// Its descriptor is missing, too, if this process can open none more.
    case packet(byteCount: Int, descriptor: OwnedDescriptor?)
    case wouldBlock
    case closed
    /// It is empty, or bytes were cut off, or more than one descriptor came. All that came are closed.
    case damaged(String)
  }

  /// Takes one packet.
  public borrowing func receive(into buffer: inout MutableRawSpan) throws(Errno) -> Received {
    var descriptors = InlineArray<253, CInt>(repeating: -1)
    var (arrived, damaged): (CInt, CInt) = (0, 0)
    var room = descriptors.mutableSpan
    // SAFETY: the kernel writes into the buffer, whose length goes with it, and into room for all descriptors there can
    // be.
    let count = unsafe room.withUnsafeMutableBufferPointer { room in
      unsafe buffer.withUnsafeMutableBytes { buffer in
        unsafe poolbus_receive_packet(
          descriptor.raw, buffer.baseAddress, buffer.count, room.baseAddress, &arrived, &damaged)
      }
    }
    if count < 0 {
      switch Errno(rawValue: errno) {
      case .resourceTemporarilyUnavailable: return .wouldBlock
      case let error: throw error
      }
    }
    if damaged != 0 || arrived > 1 {
      for index in 0..<Int(arrived) { ForeignDescriptors.discard(OwnedDescriptor(adopting: descriptors[index])) }
      return .damaged(
        "a packet is empty, longer than \(buffer.byteCount) bytes, or came with more descriptors than one")
    }
    let file = arrived == 0 ? nil : OwnedDescriptor(adopting: descriptors[0])
    guard count > 0 else { return .closed }
    return .packet(byteCount: count, descriptor: file)
  }

  /// Whether the other side has ended the conversation; what it said before may be unread still.
  public var isHungUp: Bool { poolbus_is_hung_up(descriptor.raw) != 0 }

  /// Ends the conversation both ways; the descriptor stays until the owner lets go.
  public borrowing func shutDown() { _ = shutdown(descriptor.raw, Int32(SHUT_RDWR)) }

  /// Who connected, by the kernel's word.
  public borrowing func peerCredentials() throws(Errno) -> PeerCredentials {
    var (process, user, group): (Int32, UInt32, UInt32) = (0, 0, 0)
    // SAFETY: the call fills the three variables.
    _ = try check(unsafe poolbus_peer_credentials(descriptor.raw, &process, &user, &group))
    return PeerCredentials(processID: process, userID: user, groupID: group)
  }

  /// The process that connected; readable when it has ended, whoever else holds its socket.
  public borrowing func peerProcess() throws(Errno) -> OwnedDescriptor {
    OwnedDescriptor(adopting: try check(poolbus_peer_process(descriptor.raw)))
  }
}

extension OwnedDescriptor {
  /// Whether the process that ``PacketSocket/peerProcess()`` gave has ended, or does within that time.
  public borrowing func hasProcessEnded(withinMilliseconds time: Int32 = 0) -> Bool {
    poolbus_has_ended(raw, time) != 0
  }
}

public struct PeerCredentials: Hashable, Sendable {
  public var processID: Int32
  public var userID: UInt32
  public var groupID: UInt32
}
