import CPeer
import Foundation
import Glibc
import Platform
import Testing

extension Hostile {
  /// Wrong descriptors beside messages, and what a subscriber tries with those that it was handed.
  @Suite struct Descriptors {
    private static let shrinkAndGrow: CInt = 0x2 | 0x4

    enum Wrong: CaseIterable {
      case pipe, directory, regularFile, socket, terminal
      case unsealed, sealedAgainstGrowthOnly, shrunken, tooLong, empty

      func make() throws -> Descriptor {
        var pair: [CInt] = [-1, -1]
        let raw: CInt
        // SAFETY: the calls copy paths and fill the two elements.
        switch self {
        case .pipe:
          _ = unsafe Glibc.pipe(&pair)
          close(pair[1])
          raw = pair[0]
        case .directory: raw = unsafe open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Wherever the tests lie: a file system in memory has files that can be sealed.
        case .regularFile: raw = unsafe open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        case .socket:
          _ = unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair)
          close(pair[1])
          raw = pair[0]
        case .terminal: raw = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        case .unsealed: raw = poolbus_raw_memory_file(wakePageByteCount, 0)
        case .sealedAgainstGrowthOnly: raw = poolbus_raw_memory_file(wakePageByteCount, 0x4)
        case .shrunken:
          raw = poolbus_raw_memory_file(wakePageByteCount, 0)
          ftruncate(raw, wakePageByteCount / 2)
          try MemoryFile.addSeals(raw, [.shrink, .grow])
        case .tooLong: raw = poolbus_raw_memory_file(2 * wakePageByteCount, shrinkAndGrow)
        case .empty: raw = poolbus_raw_memory_file(0, shrinkAndGrow)
        }
        guard raw >= 0 else { throw Errno(rawValue: errno) }
        return Descriptor(raw)
      }

      /// What the refusal must say.
      var problem: String {
        switch self {
        case .pipe, .directory, .regularFile, .socket, .terminal: "is no memory file's"
        case .unsealed, .sealedAgainstGrowthOnly: "its length is not sealed"
        case .shrunken: "it has \(wakePageByteCount / 2) bytes"
        case .tooLong: "it has \(2 * wakePageByteCount) bytes"
        case .empty: "it has 0 bytes"
        }
      }
    }

    @Test(arguments: Wrong.allCases) func wrongDescriptorForAWakePage(wrong: Wrong) async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let descriptor = try wrong.make()
        liar.say(Say.subscribe(1, pattern: Array("bystander/**".utf8)), [descriptor.raw])
        let refusal = try #require(try await liar.hearEnd())
        #expect(refusal[1] == 0 && refusal[2] == 0)
        #expect(refusal.text(3).contains(wrong.problem), "\(refusal.text(3))")
      }
    }

    /// A page that is one, but that its subscription never writes: it is rung for every message, and nobody else.
    @Test func wakePageThatSleepsForEver() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let page = Descriptor(poolbus_raw_memory_file(wakePageByteCount, Self.shrinkAndGrow))
        liar.say(
          Say.subscribe(1, pattern: Array("bystander/**".utf8), messages: 1), [page.raw])
        _ = try await liar.hear(.subscribed)
        try await bystanders.areUnharmed()
      }
    }

    @Test(arguments: [2, 8, 9, 253]) func severalDescriptorsBesideOneMessage(count: Int) async throws {
      try await Bystanders.with { bystanders in
        let page = Descriptor(poolbus_raw_memory_file(wakePageByteCount, Self.shrinkAndGrow))
        for _ in 0..<40 {
          let liar = try await Liar.join(bystanders.socket)
          liar.say(Say.subscribe(1, pattern: Array("liar/**".utf8)), [CInt](repeating: page.raw, count: count))
          #expect(try await liar.hearEnd()?.text(3).contains("descriptors") == true)
        }
        try await eventually("the node has closed them all") { try openDescriptors(of: page) == 1 }
      }
    }

    @Test func descriptorsBesideMessagesThatWantNone() async throws {
      try await Bystanders.with { bystanders in
        let page = Descriptor(poolbus_raw_memory_file(wakePageByteCount, Self.shrinkAndGrow))
        let liar = try await Liar.join(bystanders.socket)
        for _ in 0..<500 { try await liar.insist(Say.cancelLease(1), [page.raw]) }
        #expect(try await liar.isHeard())
        try await eventually("the node has closed them all") { try openDescriptors(of: page) == 1 }
      }
    }

    /// Closing it waits an hour for an end that does not read: the node must not be who waits.
    @Test(arguments: [1, 3]) func socketThatLingers(count: Int) async throws {
      try await Bystanders.with { bystanders in
        var otherEnds: [Descriptor] = []
        for _ in 0..<10 {
          // One is read; one lies unread in the connection when that is closed.
          for isRead in [true, false] {
            let liar = try await Liar.join(bystanders.socket)
            var otherEnd: CInt = -1
            // SAFETY: the call fills the variable.
            let lingering = unsafe poolbus_raw_lingering_socket(&otherEnd)
            try #require(lingering >= 0)
            otherEnds.append(Descriptor(otherEnd))
            if !isRead { liar.say([1]) }
            let failure = liar.say(
              Say.subscribe(1, pattern: Array("liar/**".utf8)), [CInt](repeating: lingering, count: count))
            // From now on the node has the last one; unless it was quicker to end the conversation.
            if failure != 0 { poolbus_raw_stop_lingering(lingering) }
            close(lingering)
            #expect(try await liar.hearEnd() != nil)
          }
        }
        try await bystanders.areUnharmed()
        withExtendedLifetime(otherEnds) {}
      }
    }

    @Test func subscriberCannotChangeWhatItWasHanded() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let subscription = try await liar.subscribe(Bystanders.topic)
        let handed = try await liar.hear(.segmentHanded)
        let descriptor = try #require(handed.descriptor)
        let capacity = Int(handed[5])
        // SAFETY: for all below: nothing that succeeds is kept; the kernel copies the path.
        #expect(unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.raw, 0) == MAP_FAILED)
        #expect(errno == EACCES)
        let reopened = unsafe open("/proc/self/fd/\(descriptor.raw)", O_RDWR | O_CLOEXEC)
        try #require(reopened >= 0)
        let writable = Descriptor(reopened)
        #expect(unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, writable.raw, 0) == MAP_FAILED)
        #expect(errno == EPERM)
        #expect(unsafe pwrite(writable.raw, "x", 1, 64) == -1 && errno == EPERM)
        for length in [0, 4096, capacity * 2] { #expect(ftruncate(writable.raw, length) == -1 && errno == EPERM) }
        #expect(poolbus_raw_punch(writable.raw, 4096, 4096) == EPERM)
        // Sealed against further seals it need not be: no seal makes it writable, and this one it can't have.
        #expect(throws: Errno.self) { try MemoryFile.addSeals(writable.raw, MemoryFile.Seals(rawValue: 0x8)) }
        try await bystanders.areUnharmed()
        liar.say(Say.releaseSegment(handed[3], epoch: handed[4], by: subscription))
        #expect(try await liar.isHeard())
      }
    }

    /// What the publisher may do with its own memory file before the node has sealed it.
    @Test func publisherSealsItsLeaseItself() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        // F_SEAL_SEAL: the node can't seal it against further writers; F_SEAL_WRITE: it can't be, as it is mapped.
        let liar = try await Liar.join(bystanders.socket)
        let leased = try await liar.lease(try await liar.openPublisher("liar/a"))
        #expect(throws: Never.self) { try MemoryFile.addSeals(leased.descriptor.raw, .seal) }
        #expect(ftruncate(leased.descriptor.raw, 0) == -1)
        #expect(poolbus_raw_punch(leased.descriptor.raw, 4096, 4096) == 0)
        liar.say(Say.segmentReady(leased.segment, epoch: 1))
        leased.write(sequence: 1, at: 0)
        leased.commit(1)
        leased.seal(1)
        try await bystanders.areUnharmed()
      }
    }
  }
}

/// How many descriptors of one file this process, and so the node, has open.
func openDescriptors(of file: Descriptor) throws -> Int {
  func identity(_ path: String) -> [UInt64]? {
    var status = stat()
    // SAFETY: the call reads the path and fills the structure.
    return unsafe stat(path, &status) == 0 ? [UInt64(status.st_dev), UInt64(status.st_ino)] : nil
  }
  let wanted = identity("/proc/self/fd/\(file.raw)")
  return try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
    identity("/proc/self/fd/\($0)") == wanted
  }
}
