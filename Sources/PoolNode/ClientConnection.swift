import BusProtocol
import Platform
import Vocabulary

/// A client's end at the node: its socket, its process, and what waits to be sent to it.
final class ClientConnection {
  let id: ClientID
  let socket: PacketSocket
  /// Readable when the process has ended, also while a forked child still holds the socket.
  let process: OwnedDescriptor
  private var outbox = PacketOutbox()
  private(set) var isOpen = true
  /// Nothing is sent to it any more; what it has said is still to be read, to its end.
  private var isHungUp = false

  init(id: ClientID, socket: consuming PacketSocket, process: consuming OwnedDescriptor) {
    self.id = id
    self.socket = socket
    self.process = process
  }

  /// Sends, or keeps until the client reads again.
  /// - Returns: false if the client reads nothing while more than it may leave unread has piled up, or its socket is gone.
  func send(_ message: NodeMessage, descriptor: CInt?) -> Bool {
    if isHungUp { return true }
    guard let bytes = try? message.encoded() else { return false }
    return outbox.send(bytes, descriptor: descriptor, over: socket)
  }

  func flush() -> Bool { outbox.flush(over: socket) }

  var waitsToSend: Bool { !outbox.isEmpty }
  /// What it waits for.
  var obstacle: PacketOutbox.Obstacle? { outbox.obstacle }
  /// Descriptors that wait to be read.
  var unreadDescriptors: UInt64 { UInt64(outbox.descriptorCount) }

  /// Ends the conversation as soon as what the client has said is read: the end follows behind that. Among it may be that
  /// it has unmapped what it had, which nobody would ever say again.
  func hangUp() {
    isHungUp = true
    outbox = PacketOutbox()
    socket.shutDown()
  }

  /// Ends the conversation. The socket stays until the process is gone, or nothing of it is left here.
  ///
  /// - Parameter buffer: room for what the client said last, which nobody hears.
  func close(_ buffer: inout [UInt8]) {
    isOpen = false
    socket.shutDown()
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var bytes = unsafe span.mutableBytes
    socket.drain(into: &bytes)
    outbox = PacketOutbox()
  }
}
