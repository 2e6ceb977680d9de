import Dispatch
import Logging
import Platform
import Vocabulary

/// The node's side of the service manager's descriptor store: it holds each segment's memory file, so that a restarted
/// node gets them back. Used on the node's thread.
final class DescriptorStore {
  private let sender: Sender
  private let life: UInt64
  /// Segments of an earlier life are kept under their old names.
  private var adopted: [SegmentID: StoredSegmentName] = [:]
  // Sending waits for the service manager, and nothing may be lost: a name that it was not told to forget would hold
  // memory. In order, and off the node's thread.
  private let queue = DispatchQueue(label: "poolbus.descriptors")

  /// - Parameter life: tells this node's segments from those of its earlier lives.
  init(notifier: ServiceNotifier, life: UInt64, logger: Logger) {
    sender = Sender(notifier: notifier, logger: logger)
    self.life = life
  }

  /// Has the segment kept; its memory file stays open until that is said.
  func add(_ id: SegmentID, _ segment: SegmentStore.Stored) {
    guard adopted[id] == nil else { return }
    let name = name(of: id)
    queue.async { [sender] in
      // A memory file is always ready: there is nothing to watch it for.
      sender.send("FDSTORE=1", "FDNAME=\(name)", "FDPOLL=0", descriptor: segment.file.raw)
    }
  }

  /// A claimed segment lives on as `id`; it is kept already.
  func adopt(_ name: StoredSegmentName, as id: SegmentID) { adopted[id] = name }

  /// Has the segment forgotten: its memory is free when the last other owner lets go.
  func remove(_ id: SegmentID) {
    let name = name(of: id)
    adopted[id] = nil
    remove(name)
  }

  func remove(_ name: StoredSegmentName) {
    queue.async { [sender] in sender.send("FDSTOREREMOVE=1", "FDNAME=\(name)") }
  }

  private func name(of id: SegmentID) -> StoredSegmentName {
    adopted[id] ?? StoredSegmentName(id: id, life: life)
  }

  private struct Sender: Sendable {
    let notifier: ServiceNotifier
    let logger: Logger

    func send(_ lines: String..., descriptor: CInt? = nil) {
      do throws(Errno) {
        try notifier.send(lines, descriptor: descriptor)
      } catch {
        logger.error("the service manager's descriptor store could not be told \(lines): \(error)")
      }
    }
  }
}
