import Glibc
import Platform
import Testing

@Suite struct MemoryFileTests {
  @Test func hasTheSizeAskedForAndNoSealsOfItsOwn() throws {
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 12_288)
    #expect(try MemoryFile.byteCount(of: file.raw) == 12_288)
    #expect(closesOnExec(file.raw))
    let seals = try MemoryFile.seals(of: file.raw)
    #expect(seals.isDisjoint(with: [.seal, .shrink, .grow, .futureWrite]))
  }

  @Test func sizeIsFixedBySeals() throws {
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 8192)
    try MemoryFile.addSeals(file.raw, [.shrink, .grow])
    #expect(try MemoryFile.seals(of: file.raw).isSuperset(of: [.shrink, .grow]))
    #expect(try !MemoryFile.seals(of: file.raw).contains(.futureWrite))
    #expect(ftruncate(file.raw, 4096) == -1 && errno == EPERM)
    #expect(ftruncate(file.raw, 16_384) == -1 && errno == EPERM)
    #expect(try MemoryFile.byteCount(of: file.raw) == 8192)
  }

  @Test func futureWritersAreShutOutAndTheMappingThatIsThereStays() throws {
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 4096)
    let present = try #require(Mapping(file.raw, PROT_READ | PROT_WRITE))
    try MemoryFile.addSeals(file.raw, .futureWrite)
    present.write(42)
    #expect(Mapping(file.raw, PROT_READ | PROT_WRITE) == nil)
    #expect(writeError(to: file.raw) == .notPermitted)
    let reader = try #require(Mapping(file.raw, PROT_READ))
    #expect(reader.read() == 42)
  }

  @Test func sealedSealsTakeNoMore() throws {
    let file = try freshFile()
    try MemoryFile.addSeals(file.raw, [.shrink, .seal])
    #expect(throws: Errno.notPermitted) { try MemoryFile.addSeals(file.raw, .grow) }
    #expect(try MemoryFile.seals(of: file.raw).isSuperset(of: [.shrink, .seal]))
  }

  @Test func readOnlyDescriptorIsTheSameFileAndCannotWrite() throws {
    let file = try freshFile()
    let reader = try MemoryFile.reopenReadOnly(file.raw)
    #expect(FileIdentity(reader.raw) == FileIdentity(file.raw))
    #expect(closesOnExec(reader.raw))
    #expect(writeError(to: reader.raw) == .badFileDescriptor)
    #expect(Mapping(reader.raw, PROT_READ | PROT_WRITE) == nil)
    #expect(Mapping(reader.raw, PROT_READ) != nil)
    #expect(throws: Errno.notPermitted) { try MemoryFile.addSeals(reader.raw, .grow) }
  }

  @Test func populatedFileHasItsPages() throws {
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 65_536)
    #expect(try blocks(of: file.raw) == 0)
    try MemoryFile.populate(file.raw, byteCount: 65_536)
    #expect(try blocks(of: file.raw) * 512 == 65_536)
  }

  @Test func descriptorsOfOtherKindsHaveNoSeals() throws {
    let event = try WakeEvent()
    #expect(throws: Errno.invalidArgument) { _ = try MemoryFile.seals(of: event.raw) }
    #expect(throws: Errno.badFileDescriptor) { _ = try MemoryFile.seals(of: -1) }
    #expect(throws: Errno.badFileDescriptor) { _ = try MemoryFile.byteCount(of: -1) }
  }

  @Test func impossibleSizesAreErrors() throws {
    #expect(throws: Errno.invalidArgument) { _ = try MemoryFile.create(name: "poolbus-test", byteCount: -1) }
    let file = try freshFile()
    #expect(throws: Errno.invalidArgument) { try MemoryFile.populate(file.raw, byteCount: 0) }
  }

  @Test func machineHasMemoryInPages() {
    #expect(Memory.pageByteCount >= 4096 && Memory.pageByteCount.nonzeroBitCount == 1)
    #expect(Memory.physicalByteCount > Memory.pageByteCount)
  }

  private func writeError(to descriptor: CInt) -> Errno? {
    // SAFETY: the kernel copies the byte before the call returns.
    unsafe write(descriptor, "x", 1) < 0 ? Errno(rawValue: errno) : nil
  }

  private func blocks(of descriptor: CInt) throws -> Int {
    var status = stat()
    // SAFETY: the structure outlives the call.
    guard unsafe fstat(descriptor, &status) == 0 else { throw Errno(rawValue: errno) }
    return Int(status.st_blocks)
  }
}

/// A page of a file, mapped.
@safe
private final class Mapping: Equatable {
  private let page: UnsafeMutableRawPointer

  init?(_ descriptor: CInt, _ protection: CInt) {
    // SAFETY: the mapping is this object's, until deinit.
    guard let page = unsafe mmap(nil, 4096, protection, MAP_SHARED, descriptor, 0), unsafe page != MAP_FAILED else {
      return nil
    }
    unsafe self.page = page
  }

  deinit { unsafe munmap(page, 4096) }

  // SAFETY: within the page; the tests write through writable mappings only.
  func write(_ byte: UInt8) { unsafe page.storeBytes(of: byte, as: UInt8.self) }
  func read() -> UInt8 { unsafe page.load(as: UInt8.self) }

  static func == (one: Mapping, other: Mapping) -> Bool { one === other }
}
