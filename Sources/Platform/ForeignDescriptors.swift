import CPlatform
import Dispatch

/// Descriptors that a peer passed, and that nobody wants.
///
/// Closing one may wait as long as the peer likes: a socket lingers until its other end has read, a file system in user
/// space answers when it pleases. So it is done on a queue of its own; only others of the kind wait behind it.
public enum ForeignDescriptors {
  private static let queue = DispatchQueue(label: "poolbus.foreign")

  /// Closes the descriptor without waiting for that, unless it is a memory file's: closing that waits for nobody.
  public static func discard(_ descriptor: consuming OwnedDescriptor) {
    let raw = descriptor.take()
    if poolbus_seals(raw) >= 0 {
      poolbus_discard(raw)
    } else {
      queue.async { poolbus_discard(raw) }
    }
  }
}

extension PacketSocket {
  /// Takes what waits to be received and lets go of the descriptors with it, so that closing the socket waits for
  /// nobody. Nothing more comes after ``shutDown()``.
  public borrowing func drain(into buffer: inout MutableRawSpan) {
    while true {
      switch try? receive(into: &buffer) {
      case .packet(_, let descriptor?): ForeignDescriptors.discard(descriptor)
      case .packet(_, nil): continue
      case .damaged: continue
      case .closed: return
      case .wouldBlock: return
      case nil: return
      }
    }
  }
}
