import Dispatch
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// The memfds of the pool: made, kept, looked into and closed here, as the ledger says.
///
/// Backing a segment with pages and freeing them takes milliseconds for large ones, so both happen off the node's
/// thread, in order: memory is given back before it is asked for again.
final class SegmentStore: SegmentContents {
  /// A segment's memfd with the two views of it that the node hands on and reads.
  final class Stored: Sendable {
    let file: SegmentFile
    let readOnly: OwnedDescriptor
    let mapping: ReadMapping

    init(id: SegmentID, of origin: SegmentOrigin, capacity: Int) throws(MemoryError) {
      file = try SegmentFile.create(id: id, of: origin, capacity: capacity)
      readOnly = try file.readOnlyDescriptor()
      mapping = try ReadMapping(
        descriptor: try file.readOnlyDescriptor(), id: id, capacity: capacity, populate: false)
    }

    /// - Parameter file: one that an earlier node made.
    init(adopting file: consuming SegmentFile) throws(MemoryError) {
      readOnly = try file.readOnlyDescriptor()
      mapping = try ReadMapping(
        descriptor: try file.readOnlyDescriptor(), id: file.id, capacity: file.capacity, populate: false)
      self.file = file
    }
  }

  /// A subscription's wake page: its publishers look at it, and the node when a segment is sealed.
  private final class WakePage {
    let descriptor: OwnedDescriptor
    /// Nil if it is no wake page: then it is passed on, but says nothing.
    let view: WakePageView?

    init(_ descriptor: consuming OwnedDescriptor) {
      self.descriptor = descriptor
      view = try? WakePageView(mapping: try self.descriptor.duplicate())
    }
  }

  /// A finished creation, on its way back to the node's thread.
  struct Creation: Sendable {
    var segment: SegmentID
    var result: Result<Stored, MemoryError>
  }

  private var stored: [SegmentID: Stored] = [:]
  private var wakePages: [SubscriptionID: WakePage] = [:]
  private let creations: Creations
  /// By which the stamps of messages are read.
  private var stamps: StampClock
  private let clocks: () -> (monotonic: UInt64, realtime: UInt64)
  /// The service manager's store, if there is one.
  let descriptors: DescriptorStore?
  // Small segments don't queue behind the pages of large ones.
  private let small = DispatchQueue(label: "poolbus.segments.small")
  private let large = DispatchQueue(label: "poolbus.segments.large")
  private static let largeByteCount: UInt64 = 4 << 20

  /// - Parameters:
  ///   - clocks: the monotonic one and the real-time one.
  ///   - wake: called on another thread when ``takeFinished()`` has something.
  init(
    descriptors: DescriptorStore? = nil, clocks: @escaping () -> (monotonic: UInt64, realtime: UInt64) = { Clock.both },
    wake: @escaping @Sendable () -> Void
  ) {
    self.descriptors = descriptors
    self.clocks = clocks
    stamps = StampClock(now: clocks())
    creations = Creations(wake: wake)
  }

  subscript(_ id: SegmentID) -> Stored? { stored[id] }

  func create(_ id: SegmentID, of origin: SegmentOrigin, capacity: UInt64) {
    queue(for: capacity).async { [creations] in
      do throws(MemoryError) {
        let made = try Stored(id: id, of: origin, capacity: Int(clamping: capacity))
        creations.add(Creation(segment: id, result: .success(made)))
      } catch {
        creations.add(Creation(segment: id, result: .failure(error)))
      }
    }
  }

  func takeFinished() -> [Creation] { creations.takeAll() }

  func keep(_ segment: Stored, as id: SegmentID) {
    stored[id] = segment
    descriptors?.add(id, segment)
  }

  func destroy(_ id: SegmentID) {
    guard let segment = stored.removeValue(forKey: id) else { return }
    descriptors?.remove(id)
    discard(segment)
  }

  /// Lets go of a segment; closing the last reference is when the kernel frees the pages.
  func discard(_ segment: consuming Stored) {
    let last = segment
    queue(for: UInt64(last.file.capacity)).async { withExtendedLifetime(last) {} }
  }

  private func queue(for capacity: UInt64) -> DispatchQueue { capacity > Self.largeByteCount ? large : small }

  /// Sees whether the real-time clock was set: as often as anything happens.
  func lookAtClocks() { stamps.look(now: clocks()) }

  // MARK: - Wake pages

  func keepWakePage(_ page: consuming OwnedDescriptor, of subscription: SubscriptionID) {
    wakePages[subscription] = WakePage(page)
  }

  func dropWakePage(of subscription: SubscriptionID) { wakePages[subscription] = nil }

  func wakePage(of subscription: SubscriptionID) -> CInt? { wakePages[subscription]?.descriptor.raw }

  // MARK: - SegmentContents

  func currentLife(of segment: SegmentIdentity) -> SegmentIdentity {
    let epoch = stored[segment.id]?.mapping.epoch ?? 0
    return SegmentIdentity(id: segment.id, epoch: max(epoch, segment.epoch))
  }

  func noteClosed(_ segment: SegmentID) { stored[segment]?.file.noteClosed() }

  func noteJoins(_ count: UInt64, in segment: SegmentID) { stored[segment]?.file.noteJoins(count) }

  func hasAcknowledged(_ segment: SegmentIdentity, by subscription: SubscriptionID, at place: UInt32) -> Bool {
    wakePages[subscription]?.view?.hasAcknowledged(segment, at: place) ?? false
  }

  func committed(in segment: SegmentIdentity) -> UInt32 { reader(of: segment)?.committed ?? 0 }

  func firstSequence(in segment: SegmentIdentity) -> UInt64? {
    guard let reader = reader(of: segment), reader.committed > 0 else { return nil }
    return try? reader.slot(at: 0).sequence
  }

  func lastSequence(in segment: SegmentIdentity) -> UInt64? {
    var life = segment
    // A life may end while it is looked at; the next one says what was before it. None lasts so short again and again.
    for _ in 0..<64 {
      guard let reader = reader(of: life) else { return nil }
      if let last = try? reader.lastSequence { return last }
      let next = currentLife(of: life)
      guard next != life else { return nil }
      life = next
    }
    return nil
  }

  func sequences(in segment: SegmentIdentity) -> [ClosedRange<UInt64>] {
    guard let reader = reader(of: segment) else { return [] }
    return (try? reader.sequences(to: reader.committed)) ?? []
  }

  func firstSequence(in segment: SegmentIdentity, publishedSince time: UInt64) -> UInt64? {
    guard let reader = reader(of: segment) else { return nil }
    lookAtClocks()
    var first: UInt64?
    var index = reader.committed
    // From the end, as nearly all of it was published before.
    while index > 0, let slot = try? reader.slot(at: index - 1),
      stamps.latestTime(of: reader.publishTime(of: slot)) >= time
    {
      first = slot.sequence
      index -= 1
    }
    return first
  }

  func lastPublished(in segment: SegmentIdentity) -> UInt64? {
    guard let reader = reader(of: segment), reader.committed > 0, let last = try? reader.slot(at: reader.committed - 1)
    else { return nil }
    lookAtClocks()
    return stamps.latestTime(of: reader.publishTime(of: last))
  }

  private func reader(of segment: SegmentIdentity) -> SegmentReader? {
    stored[segment.id].map { SegmentReader(mapping: $0.mapping, epoch: segment.epoch) }
  }
}

/// Finished creations, between the threads.
private final class Creations: Sendable {
  private let list = Mutex<[SegmentStore.Creation]>([])
  private let wake: @Sendable () -> Void

  init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

  func add(_ creation: SegmentStore.Creation) {
    list.withLock { $0.append(creation) }
    wake()
  }

  func takeAll() -> [SegmentStore.Creation] {
    list.withLock { list in
      defer { list = [] }
      return list
    }
  }
}
