import Foundation
import Glibc
import Platform
import Testing

@Suite struct PacketListenerTests {
  @Test func clientsAreLetIn() throws {
    let directory = try TemporaryDirectory()
    let listener = try PacketListener.claim(path: directory.file("bus"))
    #expect(try listener.acceptsNobody())
    let client = try PacketSocket.connect(to: directory.file("bus"))
    guard let server = try listener.accept() else {
      Issue.record("nobody waits")
      return
    }
    #expect(closesOnExec(server.raw))
    #expect(try client.send([1]) == .sent)
    #expect(try server.receive() == .packet([1]))
    #expect(try server.send([2]) == .sent)
    #expect(try client.receive() == .packet([2]))
    #expect(try server.peerCredentials().processID == getpid())
    #expect(try listener.acceptsNobody())
  }

  @Test func secondClaimIsToldWhoHasThePath() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    let listener = try PacketListener.claim(path: path)
    #expect(throws: SocketError.inUse(path: path, processID: getpid())) { _ = try PacketListener.claim(path: path) }
    // The first one has it still.
    let client = try PacketSocket.connect(to: path)
    while try !listener.acceptsNobody() {}
    #expect(client.raw >= 0)
  }

  @Test func aLockThatIsKeptIsNamed() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    do {
      // SAFETY: the kernel copies the path.
      let lock = OwnedDescriptor(adopting: unsafe open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      #expect(flock(lock.raw, LOCK_EX) == 0)
      #expect(throws: SocketError.directoryLocked(path: path, directory: directory.path)) {
        _ = try PacketListener.claim(path: path, patience: 20)
      }
    }
    #expect(FileIdentity(path: path) == nil)
    _ = try PacketListener.claim(path: path)
  }

  @Test func ofManyClaimsAtOnceOneWins() async throws {
    let directory = try TemporaryDirectory()
    for round in 0..<100 {
      let path = directory.file("bus\(round)")
      try leaveStaleSocket(at: path)
      let outcomes = await withTaskGroup(of: Claim.self) { group in
        for _ in 0..<8 { group.addTask { Claim(path: path) } }
        return await group.reduce(into: [Claim]()) { $0.append($1) }
      }
      #expect(outcomes.count { $0.error == nil } == 1)
      #expect(outcomes.count { $0.error == .inUse(path: path, processID: getpid()) } == 7)
    }
  }

  @Test func staleSocketIsNoObstacle() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    try leaveStaleSocket(at: path)
    #expect(FileIdentity(path: path) != nil)
    #expect(throws: SocketError.nobodyListens(path: path)) { _ = try PacketSocket.connect(to: path) }
    let listener = try PacketListener.claim(path: path)
    _ = try PacketSocket.connect(to: path)
    #expect(try !listener.acceptsNobody())
  }

  @Test func otherFilesStay() throws {
    let directory = try TemporaryDirectory()
    let (file, link, folder) = (directory.file("file"), directory.file("link"), directory.file("folder"))
    try "precious".write(toFile: file, atomically: false, encoding: .utf8)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: directory.file("nowhere"))
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    for path in [file, link, folder] {
      let before = FileIdentity(path: path)
      #expect(throws: SocketError.notASocket(path: path)) { _ = try PacketListener.claim(path: path) }
      #expect(FileIdentity(path: path) == before)
    }
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
  }

  @Test func pathHasALimit() throws {
    let directory = try TemporaryDirectory()
    let stem = directory.file("")
    let longest = stem + String(repeating: "x", count: 107 - stem.utf8.count)
    let path = longest + "x"
    #expect(throws: SocketError.pathTooLong(path: path, limit: 107)) { _ = try PacketListener.claim(path: path) }
    let listener = try PacketListener.claim(path: longest)
    _ = try PacketSocket.connect(to: longest)
    #expect(try !listener.acceptsNobody())
  }

  @Test func missingDirectoryIsNotTakenForAMissingNode() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("nowhere/bus")
    #expect(throws: SocketError.failed(path: path, .noSuchFileOrDirectory)) {
      _ = try PacketListener.claim(path: path)
    }
  }

  @Test(arguments: [0o600, 0o660, 0o666] as [mode_t]) func socketHasTheModeAskedFor(mode: mode_t) throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    let listener = try PacketListener.claim(path: path, mode: mode)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect((attributes[.posixPermissions] as? NSNumber)?.uint32Value == mode)
    #expect(listener.path == path)
  }

  @Test func endedListenerLeavesNoFile() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    do {
      let listener = try PacketListener.claim(path: path)
      #expect(FileIdentity(path: path) != nil)
      #expect(listener.raw >= 0)
    }
    #expect(FileIdentity(path: path) == nil)
  }

  /// Else the next one would believe that it follows this one; but whom this one would have followed, that one does.
  @Test(arguments: [false, true]) func whoCannotTakeThePathLeavesItAsItWas(isStale: Bool) throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory.path)
    if isStale {
      try leaveStaleSocket(at: path)
      try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
    }
    try withoutPrivileges {
      #expect(throws: SocketError.self) { _ = try PacketListener.claim(path: path, group: 12_345) }
    }
    #expect((FileIdentity(path: path) != nil) == isStale)
    #expect(try PacketListener.claim(path: path).followsAnother == isStale)
  }

  @Test func endedListenerLeavesItsSuccessorsSocket() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("bus")
    var first: Claim? = Claim(path: path)
    #expect(first?.error == nil)
    // Somebody cleans up by hand while the first one still listens, and another takes the path.
    try FileManager.default.removeItem(atPath: path)
    let second = Claim(path: path)
    #expect(second.error == nil)
    let identity = FileIdentity(path: path)
    first = nil
    #expect(FileIdentity(path: path) == identity)
    _ = try PacketSocket.connect(to: path)
    #expect(try second.listener?.acceptsNobody() == false)
  }
}

/// A listener, or why there is none.
private final class Claim: Sendable {
  let listener: PacketListener?
  let error: SocketError?

  init(path: String) {
    do {
      listener = try PacketListener.claim(path: path)
      error = nil
    } catch {
      listener = nil
      self.error = error
    }
  }
}

/// Runs the body on this thread with no more rights to files than anybody has.
private func withoutPrivileges(_ body: () throws -> Void) throws {
  typealias SetUser = @convention(c) (uid_t) -> CInt
  // SAFETY: that is what the function is; no header of the module has it.
  let setUser = unsafe unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: SetUser.self)
  let user = uid_t(bitPattern: setUser(65_534))
  defer { _ = setUser(user) }
  try body()
}

extension PacketListener {
  fileprivate borrowing func acceptsNobody() throws -> Bool { try accept() == nil }
}

/// Leaves what a killed node leaves: a socket's file that nobody listens at.
private func leaveStaleSocket(at path: String) throws {
  // Never listened to: the copy of a listener that a child of another test's has until its exec would answer.
  let socket = OwnedDescriptor(adopting: socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | O_CLOEXEC, 0))
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  try #require(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path))
  // SAFETY: there is room for the path and a zero behind it; the structure outlives the calls.
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
  let isBound = unsafe withUnsafePointer(to: &address) {
    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe bind(socket.raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  try #require(isBound == 0)
}
