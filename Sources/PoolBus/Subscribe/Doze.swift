import PooledMemory
import Vocabulary

/// A subscription's wake page: publishers ring it only while it sleeps. One thread at a time may say that it does.
final class Doze: Sendable {
  private let page: WakePageOwner

  /// - Throws: ``BusError/outOfMemory(_:)`` if there is no memory, or no descriptor, for the page.
  init() throws(BusError) {
    do {
      page = try WakePageOwner()
    } catch {
      throw .outOfMemory("\(error)")
    }
    // Until it waits it looks by itself.
    page.setAwake()
  }

  var descriptor: CInt { page.raw }
  func setAwake() { page.setAwake() }
  /// Look at the log once more after this, and sleep only then.
  func setAsleep() { page.setAsleep() }
  func acknowledge(_ segment: SegmentIdentity, at place: UInt32) { page.acknowledge(segment, at: place) }
}
