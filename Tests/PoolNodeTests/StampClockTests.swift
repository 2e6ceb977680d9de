import Glibc
import Platform
import PooledMemory
import Synchronization
import Testing
import Vocabulary

@testable import PoolNode

/// The real-time clock is set while subscriptions join and publishers are away.
@Suite struct StampClockTests {
  private static let year: UInt64 = 1_000_000_000_000_000

  /// A clock, and its node's view of it.
  private struct World {
    var monotonic: UInt64 = 1_000_000
    var realtime = 50 * year
    var clock: StampClock

    init() { clock = StampClock(now: (monotonic, realtime)) }

    /// - Parameter looks: whether something has the node look at the clocks.
    mutating func wait(_ nanoseconds: UInt64, looks: Bool = true) {
      monotonic += nanoseconds
      realtime += nanoseconds
      if looks { clock.look(now: (monotonic, realtime)) }
    }

    mutating func set(by nanoseconds: Int64) { realtime = realtime &+ UInt64(bitPattern: nanoseconds) }
  }

  @Test func aClockThatNobodySetsTellsTheTime() {
    var world = World()
    world.wait(5_000_000)
    #expect(world.clock.latestTime(of: world.realtime) == world.monotonic)
    #expect(world.clock.latestTime(of: world.realtime - 1_000_000) == world.monotonic - 1_000_000)
    #expect(world.clock.latestTime(of: 0) == 0)
  }

  /// What is published after a moment is told to be, whatever the clock is set to, and when; what was published before is
  /// not, but for the time in which the clock was set.
  @Test(arguments: [Int64(year), -Int64(year), 3_000_000_000, -3_000_000_000], [true, false])
  func aClockThatIsSetHidesNothing(by step: Int64, looks: Bool) {
    var world = World()
    world.wait(1_000_000_000)
    let early = world.realtime
    world.wait(1_000_000_000)
    let joined = world.monotonic
    world.wait(1_000_000, looks: looks)
    let first = world.realtime
    world.set(by: step)
    world.wait(1_000_000, looks: looks)
    let second = world.realtime
    world.set(by: -step / 2)
    world.wait(1_000_000, looks: true)
    let third = world.realtime
    world.wait(1_000_000)
    for stamp in [first, third] { #expect(world.clock.latestTime(of: stamp) >= joined) }
    // A setting that is over before the node looks is not seen; but the node looks whenever anything happens.
    if looks { #expect(world.clock.latestTime(of: second) >= joined) }
    if step > 0, looks { #expect(world.clock.latestTime(of: early) < joined) }
  }

  @Test func manySettingsTakeNoMoreMemory() {
    var world = World()
    for turn in 0..<1_000 {
      world.set(by: turn.isMultiple(of: 2) ? 1_000_000_000 : -999_000_000)
      world.wait(1_000_000)
    }
    #expect(world.clock.latestTime(of: world.realtime) == world.monotonic)
    for stamp in [0, 1, 1 << 63, UInt64.max] { _ = world.clock.latestTime(of: stamp) }
  }

  /// As a subscription joined, a publisher was away; the clock is set by an hour between two of its messages.
  @Test(arguments: [3_600_000_000_000, -3_600_000_000_000])
  func whatWasPublishedSinceASubscriptionJoinedIsFound(step: Int64) throws {
    var world = World()
    let clocks = Mutex((monotonic: world.monotonic, realtime: world.realtime))
    let store = SegmentStore(clocks: { clocks.withLock { $0 } }, wake: {})
    let id = SegmentID(rawValue: 7)
    let stored = try SegmentStore.Stored(
      id: id, of: SegmentOrigin(StreamID(rawValue: 1), try TopicName("a")), capacity: 16_384)
    store.keep(stored, as: id)
    let identity = SegmentIdentity(id: id, epoch: 1)
    let writer = try SegmentWriter(
      mapping: OwnedDescriptor(adopting: fcntl(stored.file.raw, F_DUPFD_CLOEXEC, 0)), capacity: 16_384,
      identity: identity)
    func publish(_ sequence: UInt64) throws {
      let room = try #require(writer.reserve(byteCount: 8))
      writer.commit(room, byteCount: 8, sequence: sequence, publishTime: world.realtime, elementStride: 0)
      world.wait(1_000_000)
    }
    try publish(1)
    clocks.withLock { $0 = (world.monotonic, world.realtime) }
    store.lookAtClocks()
    let joined = world.monotonic
    try publish(2)
    world.set(by: step)
    try publish(3)
    clocks.withLock { $0 = (world.monotonic, world.realtime) }
    #expect(store.firstSequence(in: identity, publishedSince: joined) == 2)
    #expect(try #require(store.lastPublished(in: identity)) >= joined)
  }
}
