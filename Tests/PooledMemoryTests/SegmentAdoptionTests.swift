import Glibc
import Platform
import PooledMemory
import Testing
import Vocabulary

/// What a node takes over from clients of the node before, and what it does not.
@Suite struct SegmentAdoptionTests {
  private static let capacity = 16_384
  private static let id = SegmentID(rawValue: 7)
  private static let name = "poolbus-segment-7"

  private func problem(
    adopting descriptor: consuming OwnedDescriptor, of origin: SegmentOrigin? = nil, capacity: Int = capacity
  ) -> String {
    do throws(MemoryError) {
      _ = try SegmentFile.adopt(descriptor, id: Self.id, of: origin, capacity: capacity)
      return "none"
    } catch {
      return "\(error)"
    }
  }

  private func file(
    _ name: String = name, byteCount: Int = capacity, backed: Bool = true, seals: MemoryFile.Seals = [.shrink, .grow]
  ) throws -> OwnedDescriptor {
    let file = try MemoryFile.create(name: name, byteCount: byteCount)
    if backed { try MemoryFile.populate(file.raw, byteCount: byteCount) }
    if !seals.isEmpty { try MemoryFile.addSeals(file.raw, seals) }
    return file
  }

  @Test func aPublishersSegmentIsTakenOverAndSealed() throws {
    let original = try SegmentFile.create(id: Self.id, capacity: Self.capacity)
    let identity = SegmentIdentity(id: Self.id, epoch: 3)
    let writer = try SegmentWriter(
      mapping: duplicate(original.raw), capacity: Self.capacity, identity: identity)
    writer.append([1, 2, 3], sequence: 9)
    let adopted = try SegmentFile.adopt(duplicate(writer.descriptor), id: Self.id, of: nil, capacity: Self.capacity)
    #expect(try adopted.fileIdentity() == original.fileIdentity())
    #expect(try MemoryFile.seals(of: original.raw).isSuperset(of: [.seal, .shrink, .grow, .futureWrite]))
    let reader = try SegmentReader(
      mapping: adopted.readOnlyDescriptor(), capacity: Self.capacity, identity: identity, populate: false)
    #expect(try reader.payload(at: 0) == [1, 2, 3])
    writer.append([4], sequence: 10)
    #expect(try reader.payload(at: 1) == [4])
  }

  @Test func aSubscribersDescriptorIsEnoughOnceItIsSealed() throws {
    let segment = try OpenSegment(capacity: Self.capacity, id: Self.id.rawValue)
    let mapping = try ReadMapping(
      descriptor: segment.file.readOnlyDescriptor(), id: Self.id, capacity: Self.capacity, populate: false,
      keepsDescriptor: true)
    let kept = try #require(mapping.descriptor)
    let adopted = try SegmentFile.adopt(duplicate(kept), id: Self.id, of: nil, capacity: Self.capacity)
    #expect(try adopted.fileIdentity() == segment.file.fileIdentity())

    let open = try SegmentFile.create(id: Self.id, capacity: Self.capacity)
    #expect(problem(adopting: try open.readOnlyDescriptor()).contains("could not seal"))
    let other = try SegmentFile.create(id: Self.id, capacity: Self.capacity)
    #expect(try open.fileIdentity() != other.fileIdentity())
  }

  @Test func aNameSaysWhoseItIs() throws {
    let origin = SegmentOrigin(StreamID(rawValue: 5 << 32 | 6), try TopicName("camera/front"))
    let segment = try SegmentFile.create(id: Self.id, of: origin, capacity: Self.capacity)
    for accepted in [origin, nil] { #expect(problem(adopting: duplicate(segment.raw), of: accepted) == "none") }
    for other in [
      SegmentOrigin(StreamID(rawValue: 6), origin.topic), SegmentOrigin(origin.stream, try TopicName("camera")),
    ] {
      let problem = problem(adopting: duplicate(segment.raw), of: other)
      #expect(problem.contains("was made as 'poolbus-segment-7-6@5-camera/front', not as"))
    }
    #expect(problem(adopting: try file(), of: origin).contains("was made as 'poolbus-segment-7', not as"))
    #expect(problem(adopting: try file("poolbus-segment-71-6@5-a")).contains("was made as"))
  }

  @Test func aNameHoldsAsMuchOfALongTopicAsThereIsRoomFor() throws {
    let long = String(repeating: "ä", count: TopicName.maximumByteCount / 2) + "b"
    let origin = SegmentOrigin(StreamID(rawValue: 5 << 32 | 6), try TopicName(long))
    let segment = try SegmentFile.create(id: Self.id, of: origin, capacity: Self.capacity)
    let name = try MemoryFile.name(of: segment.raw)
    #expect(name.utf8.count == MemoryFile.maximumNameByteCount - 1 && name.hasSuffix("ä"))
    #expect(problem(adopting: duplicate(segment.raw), of: origin) == "none")
    let other = SegmentOrigin(StreamID(rawValue: 6), origin.topic)
    #expect(problem(adopting: duplicate(segment.raw), of: other).contains("was made as"))
  }

  @Test func whatIsNoMemoryFileIsRefused() throws {
    var ends: [CInt] = [-1, -1]
    // SAFETY: the call fills both elements; the path is copied.
    let result = unsafe pipe(&ends)
    try #require(result == 0)
    let write = OwnedDescriptor(adopting: ends[1])
    #expect(problem(adopting: OwnedDescriptor(adopting: ends[0])).contains("could not inspect"))
    let folder = OwnedDescriptor(adopting: unsafe open("/tmp", O_RDONLY | O_CLOEXEC))
    #expect(problem(adopting: folder).contains("could not inspect"))
    _ = write.raw
  }

  @Test func aForgedMemoryFileIsRefusedInWords() throws {
    #expect(
      problem(adopting: try file("poolbus-segment-8")).contains("'poolbus-segment-8', not as 'poolbus-segment-7'"))
    #expect(problem(adopting: try file("/memfd:poolbus-segment-7")).contains("was made as"))
    #expect(problem(adopting: try file(seals: [])).contains("its length is not sealed"))
    #expect(problem(adopting: try file(seals: [.shrink])).contains("its length is not sealed"))
    #expect(problem(adopting: try file(byteCount: 8192)).contains("8192 bytes where 16384 were announced"))
    #expect(problem(adopting: try file(backed: false)).contains("only 0 of its 16384 bytes are backed"))
    #expect(problem(adopting: try file(seals: [.shrink, .grow, .seal])).contains("could not seal") == false)
    #expect(problem(adopting: try file(), capacity: 12_345).contains("has 12345 bytes"))
    #expect(problem(adopting: try file(), capacity: 1 << 50).contains("no memory of ours has"))
  }
}
