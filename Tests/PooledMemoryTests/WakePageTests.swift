import Glibc
import Platform
import PooledMemory
import Synchronization
import Testing

@Suite struct WakePageTests {
  @Test func publishersSeeWhetherTheSubscriptionIsAwake() throws {
    let owner = try WakePageOwner()
    let view = try WakePageView(mapping: duplicate(owner.raw))
    #expect(view.sleep != nil)
    owner.setAwake()
    #expect(view.sleep == nil)
    owner.setAsleep(3)
    #expect(view.sleep != nil && view.sleep != 0)
  }

  @Test func nobodyElseWritesIt() throws {
    let owner = try WakePageOwner()
    #expect(fcntl(owner.raw, F_GETFL) & O_ACCMODE == O_RDONLY)
    #expect(ftruncate(owner.raw, 0) == -1)
    let reopened = OwnedDescriptor(adopting: unsafe open("/proc/self/fd/\(owner.raw)", O_RDWR | O_CLOEXEC))
    try #require(reopened.raw >= 0)
    #expect(ftruncate(reopened.raw, 0) == -1 && errno == EPERM)
    #expect(unsafe pwrite(reopened.raw, "x", 1, 0) == -1 && errno == EPERM)
    #expect(unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reopened.raw, 0) == MAP_FAILED)
    owner.setAwake()
    #expect(try WakePageView(mapping: duplicate(owner.raw)).sleep == nil)
  }

  @Test func somethingElseIsRefused() throws {
    let unsealed = try MemoryFile.create(name: "poolbus-test", byteCount: 4096)
    #expect(throws: MemoryError.self) { try WakePageView(mapping: duplicate(unsealed.raw)) }
    let short = try MemoryFile.create(name: "poolbus-test", byteCount: 100)
    try MemoryFile.addSeals(short.raw, [.shrink, .grow])
    #expect(throws: MemoryError.self) { try WakePageView(mapping: duplicate(short.raw)) }
  }

  /// The subscription goes to sleep just as the last message of a burst is committed, over and over. Were a fence
  /// missing on either side, both would now and then look past each other, and the message would wait for ever.
  @Test func theLastMessageOfABurstAlwaysRings() throws {
    let rounds = 400_000
    let owner = try WakePageOwner()
    let view = try WakePageView(mapping: duplicate(owner.raw))
    let segment = try OpenSegment(capacity: 32 << 20)
    let writer = segment.writer
    let reader = segment.reader
    let start = Barrier()
    let end = Barrier()
    // Each side's word of the round; read by the other after the barrier.
    let rang = Atomic<Bool>(false)
    let stayedUp = Atomic<Bool>(false)
    let missed = Atomic<Int>(0)

    let publish: @Sendable () -> Void = {
      for round in 0..<rounds {
        start.wait(round)
        if let room = writer.reserve(byteCount: 0) {
          writer.commit(room, byteCount: 0, sequence: UInt64(round) + 1, publishTime: 0, elementStride: 0)
        }
        WakePage.fence()
        rang.store(view.sleep != nil, ordering: .relaxed)
        end.wait(round)
      }
    }
    let subscribe: @Sendable () -> Void = {
      for round in 0..<rounds {
        owner.setAwake()
        start.wait(round)
        owner.setAsleep(UInt64(round) + 1)
        stayedUp.store(reader.committed > UInt32(round), ordering: .relaxed)
        end.wait(round)
        if !rang.load(ordering: .relaxed), !stayedUp.load(ordering: .relaxed) { missed.add(1, ordering: .relaxed) }
      }
    }
    onThreads([publish, subscribe])
    #expect(reader.committed == UInt32(rounds))
    #expect(missed.load(ordering: .relaxed) == 0)
  }
}

/// Where two threads meet, once a round.
private final class Barrier: Sendable {
  private let arrivals = Atomic<Int>(0)

  func wait(_ round: Int) {
    arrivals.add(1, ordering: .acquiringAndReleasing)
    var looks = 0
    while arrivals.load(ordering: .acquiring) < 2 * (round + 1) {
      looks += 1
      if looks % 64 == 0 { sched_yield() }
    }
  }
}
