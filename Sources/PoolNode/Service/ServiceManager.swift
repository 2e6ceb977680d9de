import Glibc
import Platform
import PooledMemory

/// What a service manager (systemd) gave this process: a socket to listen at, segments of an earlier node, and an ear for
/// how the node fares. Each may be missing.
public struct ServiceManager: ~Copyable, Sendable {
  public let notifier: ServiceNotifier?
  private var listener: PacketListener?
  /// Where the inherited socket listens.
  let socketPath: String?
  let segments: [InheritedSegment]
  /// Names in the descriptor store under which there is no segment.
  let useless: [String]

  /// There is none.
  public static var none: ServiceManager {
    ServiceManager(notifier: nil, listener: nil, socketPath: nil, segments: [], useless: [])
  }

  private init(
    notifier: ServiceNotifier?, listener: consuming PacketListener?, socketPath: String?,
    segments: [InheritedSegment], useless: [String]
  ) {
    self.notifier = notifier
    self.listener = listener
    self.socketPath = socketPath
    self.segments = segments
    self.useless = useless
  }

  /// Takes over what the environment announces. Once in a process's life.
  ///
  /// - Throws: ``NodeError``, if what should be the node's socket is none, or there are several.
  public static func take(from environment: [String: String]) throws(NodeError) -> ServiceManager {
    var listener: PacketListener?
    var socketPath: String?
    var segments: [InheritedSegment] = []
    var useless: [String] = []
    for entry in InheritedDescriptors.announced(in: environment, processID: getpid()) {
      do {
        let descriptor = try InheritedDescriptors.take(entry)
        if let id = SegmentFile.id(named: entry.name) {
          if let segment = InheritedSegment(id, descriptor) {
            segments.append(segment)
          } else {
            useless.append(entry.name)
          }
        } else if socketPath == nil {
          let adopted = try PacketListener.adopt(descriptor)
          socketPath = adopted.path
          listener = .some(consume adopted)
        } else {
          throw NodeError.system("the service manager hands on several sockets, and a node listens at one")
        }
      } catch let error as NodeError {
        throw error
      } catch let error as SocketError {
        throw .socket(error)
      } catch {
        throw .system("the inherited descriptor \(entry.raw) ('\(entry.name)') can't be taken over: \(error)")
      }
    }
    let notifier = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : ServiceNotifier(path: $0) }
    return ServiceManager(
      notifier: notifier, listener: listener, socketPath: socketPath, segments: segments, useless: useless)
  }

  mutating func takeListener() -> PacketListener? { listener.take() }
}
