import Glibc
import Platform
import Testing

@Suite struct OwnedDescriptorTests {
  @Test func closesWhenItsOwnerEnds() throws {
    let identity: FileIdentity?
    do {
      let file = try freshFile()
      identity = FileIdentity(file.raw)
      #expect(try identity?.openCount == 1)
    }
    #expect(try identity?.openCount == 0)
  }

  @Test func takenDescriptorStaysOpen() throws {
    let file = try freshFile()
    let identity = FileIdentity(file.raw)
    let raw = file.take()
    #expect(try identity?.openCount == 1)
    #expect(FileIdentity(raw) == identity)
    close(raw)
    #expect(try identity?.openCount == 0)
  }

  @Test func duplicateIsTheSameFileAndClosedOnItsOwn() throws {
    let file = try freshFile()
    let identity = FileIdentity(file.raw)
    do {
      let other = try file.duplicate()
      let (raw, otherRaw) = (file.raw, other.raw)
      #expect(raw != otherRaw)
      #expect(FileIdentity(otherRaw) == identity)
      #expect(closesOnExec(otherRaw))
      #expect(try identity?.openCount == 2)
    }
    #expect(try identity?.openCount == 1)
    #expect(FileIdentity(file.raw) == identity)
  }

  @Test func duplicatingNothingIsAnError() {
    #expect(throws: Errno.badFileDescriptor) { _ = try OwnedDescriptor.duplicating(-1) }
  }
}
