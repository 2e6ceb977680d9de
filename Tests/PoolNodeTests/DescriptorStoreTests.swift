import Platform
import PooledMemory
import Testing
import Vocabulary

@testable import PoolNode

/// What a service manager keeps for the node's next life.
@Suite struct DescriptorStoreTests {
  private let id = SegmentID(rawValue: 17)

  @Test(arguments: [1, 17, UInt64.max]) func aNameSaysWhichSegmentItIs(number: UInt64) {
    let id = SegmentID(rawValue: number)
    #expect(SegmentFile.id(named: SegmentFile.name(of: id)) == id)
  }

  @Test(arguments: [
    "", "node", "poolbus-segment", "poolbus-segment-", "poolbus-segment-0", "poolbus-segment--1", "poolbus-segment-01",
    "poolbus-segment-+1", "poolbus-segment-0x1", "poolbus-segment-1-1", "poolbus-segment-18446744073709551616",
    "poolbus-topic-1",
  ])
  func whatIsNoNameIsRefused(text: String) { #expect(SegmentFile.id(named: text) == nil) }

  @Test func onlyTheSegmentOfThatNameIsTakenOver() throws {
    let segment = try SegmentFile.create(id: id, capacity: 8192)
    let inherited = InheritedSegment(id, try OwnedDescriptor.duplicating(segment.raw))
    #expect(try inherited?.memory == segment.fileIdentity())
    #expect(InheritedSegment(SegmentID(rawValue: 18), try OwnedDescriptor.duplicating(segment.raw)) == nil)
    #expect(InheritedSegment(id, try MemoryFile.create(name: SegmentFile.name(of: id), byteCount: 8192)) == nil)
  }

  private func inherit(_ ids: ClosedRange<UInt64>) throws -> InheritedSegments {
    InheritedSegments(
      try ids.map { number in
        let id = SegmentID(rawValue: number)
        let file = try SegmentFile.create(id: id, capacity: 8192)
        return try #require(InheritedSegment(id, try OwnedDescriptor.duplicating(file.raw)))
      }, deadline: 1000)
  }

  @Test func whatIsClaimedDoesNotExpire() throws {
    var segments = try inherit(1...3)
    let second = SegmentID(rawValue: 2)
    let claims = [segments.claim(second), segments.claim(second), segments.claim(SegmentID(rawValue: 4))]
    #expect(claims == [true, false, false])
    #expect(segments.memory(of: second) == nil && segments.memory(of: SegmentID(rawValue: 1)) != nil)
    #expect(segments.expire(at: 999) == [])
    #expect(segments.expire(at: 1000).map(\.rawValue) == [1, 3])
    #expect(segments.deadline == nil)
  }

  @Test func whereNothingIsLeftNothingIsWaitedFor() throws {
    #expect(InheritedSegments([], deadline: 1000).deadline == nil)
    var segments = try inherit(1...1)
    #expect(segments.deadline == 1000)
    _ = segments.claim(SegmentID(rawValue: 1))
    #expect(segments.deadline == nil)
  }
}
