import Glibc
import Platform
import PooledMemory
import Testing
import Vocabulary

/// What a subscriber, or any process of the same user, tries with the descriptor it was handed.
@Suite struct SegmentSealTests {
  let capacity = 64 << 10

  @Test func theLengthIsFixedFromTheStart() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: capacity)
    #expect(ftruncate(file.raw, 4096) == -1 && errno == EPERM)
    #expect(ftruncate(file.raw, capacity * 2) == -1 && errno == EPERM)
  }

  /// As by a library that takes the descriptor for the one that it had by that number.
  @Test func aStrayWriteChangesNothing() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: capacity)
    let memory = HostileMapping(of: file.raw, byteCount: capacity)
    let before = memory[0, as: UInt64.self]
    let passed = duplicate(file.raw)
    for _ in 0..<3 {
      var one: UInt64 = 1
      #expect(unsafe write(passed.raw, &one, 8) == -1 && errno == EPERM)
    }
    #expect(memory[0, as: UInt64.self] == before && before == 0x0053_5542_4C4F_4F50)
  }

  @Test func aReadOnlyDescriptorReads() throws {
    let segment = try OpenSegment(capacity: capacity)
    let handedOut = try segment.file.readOnlyDescriptor()
    #expect(fcntl(handedOut.raw, F_GETFL) & O_ACCMODE == O_RDONLY)
    #expect(unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, handedOut.raw, 0) == MAP_FAILED)
    #expect(errno == EACCES)
    let readable = unsafe mmap(nil, capacity, PROT_READ, MAP_SHARED, handedOut.raw, 0)
    #expect(unsafe readable != MAP_FAILED)
    #expect(unsafe mprotect(readable, capacity, PROT_READ | PROT_WRITE) == -1 && errno == EACCES)
    unsafe munmap(readable, capacity)
  }

  @Test func nobodyWritesASealedSegmentButItsPublisher() throws {
    let segment = try OpenSegment(capacity: capacity)
    segment.writer.append([1, 2, 3], sequence: 1)

    let handedOut = try segment.file.readOnlyDescriptor()
    let reopened = OwnedDescriptor(adopting: unsafe open("/proc/self/fd/\(handedOut.raw)", O_RDWR | O_CLOEXEC))
    try #require(reopened.raw >= 0)
    for descriptor in [reopened.raw, segment.file.raw] {
      #expect(ftruncate(descriptor, 0) == -1 && errno == EPERM)
      #expect(ftruncate(descriptor, capacity * 2) == -1 && errno == EPERM)
      #expect(unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) == MAP_FAILED)
      #expect(errno == EPERM)
      #expect(unsafe pwrite(descriptor, "x", 1, 4096) == -1 && errno == EPERM)
      #expect(try punchHole(descriptor, at: 4096, byteCount: 4096) == EPERM)
      #expect(throws: Errno.self) { try MemoryFile.addSeals(descriptor, [.shrink]) }
    }

    // The publisher's mapping goes on, and what it wrote is untouched.
    segment.writer.append([4], sequence: 2)
    #expect(try segment.reader.payload(at: 0) == [1, 2, 3])
    #expect(try segment.reader.payload(at: 1) == [4])
  }

  @Test func aSecondPublisherCannotMapASealedSegment() throws {
    let segment = try OpenSegment(capacity: capacity)
    let identity = SegmentIdentity(id: segment.file.id, epoch: 2)
    let descriptor = segment.file.raw
    let error = #expect(throws: MemoryError.self) {
      try SegmentWriter(mapping: duplicate(descriptor), capacity: capacity, identity: identity)
    }
    guard case .refused(_, .notPermitted) = error else {
      Issue.record("it was \(String(describing: error))")
      return
    }
    #expect(error?.isOutOfMemory == false)
  }

  /// A hole would take pages that the ledger counts as there; not even the publisher may make one.
  @Test func thePublisherCannotPunchHolesEither() throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: 1), capacity: capacity)
    let mapping = HostileMapping(of: file.raw, byteCount: capacity)
    try file.sealAgainstFurtherWriters()
    #expect(mapping.advise(MADV_REMOVE) == EPERM)
  }

  /// fallocate(2); Swift's Glibc does not show it.
  private func punchHole(_ descriptor: CInt, at offset: Int, byteCount: Int) throws -> CInt {
    typealias Fallocate = @convention(c) (CInt, CInt, Int, Int) -> CInt
    let symbol = unsafe try #require(dlsym(nil, "fallocate"))
    // SAFETY: that is its signature where off_t has 64 bits.
    let fallocate = unsafe unsafeBitCast(symbol, to: Fallocate.self)
    let keepSizeAndPunchHole: CInt = 1 | 2
    return fallocate(descriptor, keepSizeAndPunchHole, offset, byteCount) == 0 ? 0 : errno
  }
}
