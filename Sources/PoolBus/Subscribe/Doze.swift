import PooledMemory
import Synchronization
import Vocabulary

/// A subscription's wake page: publishers ring it only while it sleeps. One thread at a time may say that it does.
final class Doze: Sendable {
  private let page: WakePageOwner
  private let sleeps = Atomic<UInt64>(0)
  private let generations = Mutex<UInt32>(0)

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
  func setAsleep() { page.setAsleep(sleeps.add(1, ordering: .relaxed).newValue) }

  /// Which node's places are in use: they are assigned anew by each.
  var generation: UInt32 { generations.withLock { $0 } }

  /// Without effect if another node assigns places since.
  func acknowledge(_ segment: SegmentIdentity, at place: UInt32, in generation: UInt32) {
    generations.withLock { if $0 == generation { page.acknowledge(segment, at: place) } }
  }

  /// Another node assigns places from now on: what is written there says nothing any more.
  func forgetAcknowledgements() {
    generations.withLock { generation in
      generation += 1
      page.clearPlaces()
    }
  }
}
