import Glibc
import Platform
import PooledMemory
import Testing
import Vocabulary

@Suite struct MappingTests {
  let identity = SegmentIdentity(id: SegmentID(rawValue: 3), epoch: 1)

  private func refusal(of descriptor: consuming OwnedDescriptor, capacity: Int) -> String? {
    do throws(MemoryError) {
      _ = try SegmentReader(mapping: descriptor, capacity: capacity, identity: identity, populate: true)
      return nil
    } catch {
      return error.description
    }
  }

  @Test func onlyAFileOfTheAnnouncedLengthIsMapped() throws {
    let file = try SegmentFile.create(id: identity.id, capacity: 65_536)
    #expect(refusal(of: duplicate(file.raw), capacity: 65_536) == nil)
    for capacity in [0, -4096, 8192, 61_440, 69_632, 65_537, 1 << 50, Int.max, Int.min] {
      #expect(refusal(of: duplicate(file.raw), capacity: capacity)?.contains("bytes") == true, "\(capacity)")
    }
  }

  /// One page is a header, and has no room for a slot.
  @Test func aSegmentHasMoreThanAHeader() throws {
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 4096)
    let header = HostileMapping(of: file.raw, byteCount: 4096)
    header[0, as: UInt64.self] = SegmentLayout.magic
    header[8, as: UInt64.self] = SegmentLayout.version
    try MemoryFile.addSeals(file.raw, [.shrink, .grow])
    #expect(refusal(of: duplicate(file.raw), capacity: 4096)?.contains("no memory of ours") == true)
  }

  @Test func onlyASealedSegmentIsMapped() throws {
    let unsealed = try MemoryFile.create(name: "poolbus-test", byteCount: 8192)
    #expect(refusal(of: duplicate(unsealed.raw), capacity: 8192)?.contains("not sealed") == true)

    let empty = try MemoryFile.create(name: "poolbus-test", byteCount: 8192)
    try MemoryFile.addSeals(empty.raw, [.shrink, .grow])
    #expect(refusal(of: duplicate(empty.raw), capacity: 8192)?.contains("does not begin like a segment") == true)

    let next = try SegmentFile.create(id: identity.id, capacity: 8192)
    HostileMapping(of: next.raw, byteCount: 8192)[8, as: UInt64.self] = 4
    #expect(refusal(of: duplicate(next.raw), capacity: 8192)?.contains("version 4") == true)

    // Not memory files at all.
    for path in ["/dev/null", "/proc/self/exe", "/"] {
      let other = OwnedDescriptor(adopting: unsafe open(path, O_RDONLY | O_CLOEXEC))
      #expect(refusal(of: other, capacity: 8192) != nil)
    }
    #expect(refusal(of: OwnedDescriptor(adopting: -1), capacity: 8192) != nil)
  }

  @Test func writersAreRefusedLikeReaders() throws {
    let unsealed = try MemoryFile.create(name: "poolbus-test", byteCount: 8192)
    let descriptor = unsealed.raw
    #expect(throws: MemoryError.self) {
      try SegmentWriter(mapping: duplicate(descriptor), capacity: 8192, identity: identity)
    }
    let file = try SegmentFile.create(id: identity.id, capacity: 8192)
    let readOnly = try file.readOnlyDescriptor().take()
    #expect(throws: MemoryError.self) {
      try SegmentWriter(mapping: OwnedDescriptor(adopting: readOnly), capacity: 8192, identity: identity)
    }
  }

  @Test func segmentsOfNoPossibleSizeAreRefused() {
    for capacity in [0, -1, 4096, 8193, Int.max, SegmentLayout.maximumCapacity + 4096] {
      #expect(throws: MemoryError.self) { try create(capacity: capacity) }
    }
  }

  /// Never tried for real: on a host that gives memory it does not have, the kernel would kill somebody.
  @Test func whatTheHostHasIsAskedFor() throws {
    let text = """
      MemTotal:       24683520 kB
      MemFree:        23110000 kB
      MemAvailable:   24000000 kB
      """
    #expect(HostMemory.availableByteCount(in: text) == 24_000_000 << 10)
    #expect(HostMemory.availableByteCount(in: "MemTotal: 5 kB") == nil)
    #expect(HostMemory.availableByteCount(in: "MemAvailable: many kB") == nil)
    #expect(HostMemory.availableByteCount(in: "MemAvailable: 9223372036854775807 kB") == nil)
    let available = try #require(HostMemory.availableByteCount)
    #expect(available > 0 && available <= Memory.physicalByteCount)

    let error = MemoryError.refused(action: "back segment 1", reason: .noMemory)
    #expect(error.isOutOfMemory)
    #expect(error.description.contains("out of memory"))
  }

  /// As in a container, of either version: what counts is the tightest of all the groups around the process.
  @Test func whatAControlGroupAllowsIsAskedFor() {
    var files = [
      "/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/outer/inner\n0::/\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
      "/sys/fs/cgroup/memory/outer/memory.limit_in_bytes": "1000\n",
      "/sys/fs/cgroup/memory/outer/memory.usage_in_bytes": "700\n",
      "/sys/fs/cgroup/memory/outer/memory.stat": "cache 5\ninactive_file 1\ntotal_inactive_file 100\n",
      "/sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes": "800\n",
      "/sys/fs/cgroup/memory/outer/inner/memory.usage_in_bytes": "100\n",
    ]
    #expect(MemoryGroup.availableByteCount { files[$0] } == 400)
    files = [
      "/proc/self/cgroup": "0::/host/path\n", "/sys/fs/cgroup/memory.max": "max\n",
      "/sys/fs/cgroup/memory.current": "1\n",
    ]
    #expect(MemoryGroup.availableByteCount { files[$0] } == nil)
    files["/sys/fs/cgroup/memory.max"] = "100\n"
    files["/sys/fs/cgroup/memory.current"] = "130\n"
    #expect(MemoryGroup.availableByteCount { files[$0] } == 0)
    #expect(MemoryGroup.availableByteCount { _ in nil } == nil)
  }

  private func create(capacity: Int) throws(MemoryError) {
    _ = try SegmentFile.create(id: identity.id, capacity: capacity)
  }

  /// Backed when created: a write can't fail for want of memory later.
  @Test func segmentsAreBackedFromTheStart() throws {
    let file = try SegmentFile.create(id: identity.id, capacity: 1 << 20)
    var status = stat()
    #expect(unsafe fstat(file.raw, &status) == 0)
    #expect(Int(status.st_blocks) * 512 >= 1 << 20)
  }

  /// Sizes about the 2 MiB from which mappings are placed by hand; each leaves nothing behind, mapped or open.
  @Test(arguments: [8192, (2 << 20) - 4096, 2 << 20, (2 << 20) + 4096, 9 << 20])
  func mappingsComeAndGo(capacity: Int) throws {
    let id = UInt64(500_000_000 + capacity)
    let mine = "poolbus-segment-\(id) "
    func mappings() -> Int { processFile("/proc/self/maps").split(separator: "\n").count { $0.contains(mine) } }

    do {
      let segment = try OpenSegment(capacity: capacity, id: id)
      segment.writer.append([1], sequence: 1)
      // Its writer's, its reader's, and the header's, which is the node's.
      #expect(mappings() == 3)
      // "dc": a forked child does not get it.
      var isMine = false
      for line in processFile("/proc/self/smaps").split(separator: "\n") {
        let isHeading = line.prefix { $0 != " " }.contains("-")
        if isHeading { isMine = line.contains(mine) }
        if isMine, line.hasPrefix("VmFlags:") { #expect(line.contains(" dc")) }
      }
      #expect(try segment.reader.payload(at: 0) == [1])
    }
    #expect(mappings() == 0)
  }

  /// Whatever the host's settings say of shared memory, and for all who map it.
  @Test(.enabled(if: HugePages.areAvailable)) func largeSegmentsAreOfHugePages() throws {
    let segment = try OpenSegment(capacity: (4 << 20) + 4096, id: 500_000_001)
    segment.writer.append([1], sequence: 1)
    var hugeMappings = 0
    var isMine = false
    for line in processFile("/proc/self/smaps").split(separator: "\n") {
      let isHeading = line.prefix { $0 != " " }.contains("-")
      if isHeading { isMine = line.contains("poolbus-segment-500000001 ") }
      if isMine, line.hasPrefix("ShmemPmdMapped:"), !line.hasSuffix(" 0 kB") { hugeMappings += 1 }
    }
    // Its writer's and its reader's; not the node's, which is of the header alone.
    #expect(hugeMappings == 2)
    #expect(try segment.reader.payload(at: 0) == [1])
  }

  @Test func hugePagesAreReported() {
    #expect(HugePages.status == HugePages.describe(areAvailable: HugePages.areAvailable, setting: HugePages.setting))
    #expect(HugePages.describe(areAvailable: true, setting: "never") == "used from 2 MiB on")
    #expect(
      HugePages.describe(areAvailable: false, setting: "deny")
        == "unavailable: the kernel gave none, and shmem_enabled is deny")
    #expect(
      HugePages.describe(areAvailable: false, setting: nil) == "unavailable: the kernel has none for shared memory")
    #expect(HugePages.selection(of: "always within_size advise [never] deny force\n") == "never")
    #expect(HugePages.selection(of: "[always] madvise") == "always")
    #expect(HugePages.selection(of: "") == nil)
    #expect(HugePages.selection(of: "]always[") == nil)
  }
}
