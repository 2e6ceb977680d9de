import Dispatch
import Logging
import Platform
import PooledMemory
import Vocabulary

/// The node's side of the service manager's descriptor store: it holds each segment's memory file, so that a restarted
/// node gets them back. Used on the node's thread.
final class DescriptorStore {
  private let sender: Sender
  private var inherited: InheritedSegments
  // Sending waits for the service manager, and nothing may be lost: a name that it was not told to forget would hold
  // memory. In order, and off the node's thread.
  private let queue = DispatchQueue(label: "poolbus.descriptors")

  /// - Parameters:
  ///   - inherited: what the store holds of the node's earlier life.
  ///   - useless: names in the store under which there is no segment.
  init(notifier: ServiceNotifier, inherited: InheritedSegments, useless: [String], logger: Logger) {
    sender = Sender(notifier: notifier, logger: logger)
    self.inherited = inherited
    for name in useless { remove(named: name) }
  }

  /// When ``forgetUnclaimed(at:)`` has something to do; nil if it never will.
  var deadline: UInt64? { inherited.deadline }

  /// Which memory is this segment of the earlier life; nil if the store does not hold it.
  func memory(of id: SegmentID) -> MemoryFile.Identity? { inherited.memory(of: id) }

  /// Has the segment kept; its memory file stays open until that is said.
  func add(_ id: SegmentID, _ segment: SegmentStore.Stored) {
    // What comes back is there already.
    if inherited.claim(id) { return }
    queue.async { [sender] in
      // A memory file is always ready: there is nothing to watch it for.
      sender.send("FDSTORE=1", "FDNAME=\(SegmentFile.name(of: id))", "FDPOLL=0", descriptor: segment.file.raw)
    }
  }

  /// Has the segment forgotten: its memory is free when the last other owner lets go.
  func remove(_ id: SegmentID) { remove(named: SegmentFile.name(of: id)) }

  /// Has forgotten what nobody has brought back in time.
  func forgetUnclaimed(at now: UInt64) {
    for id in inherited.expire(at: now) { remove(id) }
  }

  private func remove(named name: String) {
    queue.async { [sender] in sender.send("FDSTOREREMOVE=1", "FDNAME=\(name)") }
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
