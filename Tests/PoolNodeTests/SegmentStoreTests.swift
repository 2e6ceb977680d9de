import BusProtocol
import Platform
import PooledMemory
import Testing
import Vocabulary

@testable import PoolNode

/// Memory that clients bring back, looked at.
@Suite struct SegmentStoreTests {
  private let id = SegmentID(rawValue: 9 << 32 | 3)
  private let origin = SegmentOrigin(StreamID(rawValue: 9 << 32 | 1), try! TopicName("a"))
  private let store = SegmentStore(wake: {})
  private let offer: OfferSegment

  init() {
    offer = OfferSegment(
      segment: SegmentIdentity(id: id, epoch: 1), capacity: 8192, stream: origin.stream, use: .writing(isSealed: false))
  }

  private func make() throws -> SegmentStore.Stored { try SegmentStore.Stored(id: id, of: origin, capacity: 8192) }

  /// What the store says of a segment's memory.
  private func examine(_ segment: SegmentStore.Stored, of topic: TopicName? = nil) throws -> OfferedMemory {
    let memory = try OwnedDescriptor.duplicating(segment.file.raw)
    return store.examine(offer, of: topic ?? origin.topic, memory, overrules: true)
  }

  @Test func whatOverrulesTakesThePlaceOfWhatIsThere() throws {
    let (first, second) = (try make(), try make())
    for segment in [first, second] { #expect(try examine(segment) == .sound) }
    let kept = try store[id]?.file.fileIdentity()
    #expect(try kept == second.file.fileIdentity())
  }

  @Test func whatCannotBeUsedLeavesWhatIsThere() throws {
    let segment = try make()
    store.keep(segment, as: id)
    let empty = try MemoryFile.create(name: try MemoryFile.name(of: segment.file.raw), byteCount: 8192)
    try MemoryFile.populate(empty.raw, byteCount: 8192)
    try MemoryFile.addSeals(empty.raw, [.shrink, .grow])
    let said = store.examine(offer, of: origin.topic, empty, overrules: true)
    guard case .unsound(let problem) = said else {
      Issue.record("memory without a header is \(said)")
      return
    }
    #expect(problem.contains("does not begin like a segment") && store[id] === segment)
  }

  @Test func whatIsOfAnotherTopicIsNoSegmentOfThisOne() throws {
    guard case .unsound(let problem) = try examine(try make(), of: try TopicName("b")) else {
      Issue.record("it is taken")
      return
    }
    #expect(problem.contains("-1@9-a', not as") && store[id] == nil)
  }
}
