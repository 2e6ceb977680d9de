import Platform
import PooledMemory
import Testing
import Vocabulary

@testable import PoolNode

/// What a service manager keeps for the node's next life.
@Suite struct DescriptorStoreTests {
  @Test func aNameSaysWhichSegmentOfWhichLife() {
    let name = StoredSegmentName(id: SegmentID(rawValue: 17), life: 0xabc)
    #expect("\(name)" == "poolbus-segment-17-abc")
    #expect(StoredSegmentName("\(name)") == name)
    #expect(StoredSegmentName("\(StoredSegmentName(id: SegmentID(rawValue: .max), life: .max))")?.life == .max)
  }

  @Test(arguments: [
    "", "node", "poolbus-segment", "poolbus-segment-1", "poolbus-segment-0-1", "poolbus-segment-1-",
    "poolbus-segment--1",
    "poolbus-segment-01-1", "poolbus-segment-+1-1", "poolbus-segment-1-0x1", "poolbus-segment-1-A",
    "poolbus-segment-1-1-1", "poolbus-segment-1-10000000000000000", "poolbus-topic-1-1",
  ])
  func whatIsNoNameIsRefused(text: String) { #expect(StoredSegmentName(text) == nil) }

  @Test func onlySealedFilesAreSegments() throws {
    let name = StoredSegmentName(id: SegmentID(rawValue: 1), life: 1)
    let segment = try SegmentFile.create(id: name.id, capacity: 8192)
    let inherited = InheritedSegment(name: name, file: try OwnedDescriptor.duplicating(segment.raw))
    #expect(inherited?.capacity == 8192)
    #expect(InheritedSegment(name: name, file: try MemoryFile.create(name: "open", byteCount: 8192)) == nil)
    let odd = try MemoryFile.create(name: "odd", byteCount: 5000)
    try MemoryFile.addSeals(odd.raw, [.shrink, .grow])
    #expect(InheritedSegment(name: name, file: odd) == nil)
  }

  private func inherit(_ ids: ClosedRange<UInt64>) throws -> InheritedSegments {
    InheritedSegments(
      try ids.map { id in
        let name = StoredSegmentName(id: SegmentID(rawValue: id), life: 5)
        let file = try SegmentFile.create(id: name.id, capacity: 8192)
        return try #require(InheritedSegment(name: name, file: try OwnedDescriptor.duplicating(file.raw)))
      }, deadline: 1000)
  }

  @Test func whatIsClaimedDoesNotExpire() throws {
    var segments = try inherit(1...3)
    let second = StoredSegmentName(id: SegmentID(rawValue: 2), life: 5)
    #expect(segments.claim(second)?.name == second)
    #expect(segments.claim(second) == nil)
    #expect(segments.claim(StoredSegmentName(id: SegmentID(rawValue: 1), life: 6)) == nil)
    #expect(segments.expire(at: 999) == [])
    #expect(segments.expire(at: 1000).map(\.id.rawValue) == [1, 3])
    #expect(segments.all.isEmpty && segments.deadline == nil)
  }

  @Test func whereNothingIsLeftNothingIsWaitedFor() throws {
    #expect(InheritedSegments([], deadline: 1000).deadline == nil)
    var segments = try inherit(1...1)
    #expect(segments.deadline == 1000)
    _ = segments.claim(StoredSegmentName(id: SegmentID(rawValue: 1), life: 5))
    #expect(segments.deadline == nil)
  }
}
