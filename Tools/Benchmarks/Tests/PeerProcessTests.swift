import Foundation
import Testing

@testable import bench

// One after the other: a process that starts has the ends of another's pipes for a moment, so that they are not closed.
@Suite(.serialized) struct PeerProcessTests {
  init() { PeerProcess.outliveAll() }

  /// The last peer has closed its output and not its input, as any that ends has for a moment.
  @Test(arguments: ["echo ready", "echo ready; exec sleep 60 >&-"])
  func `who has ended can't be told anything, and that is an error only`(script: String) throws {
    try with(script) { peer in
      try peer.expect("ready")
      #expect(throws: Failure.self) { try peer.expect("done") }
      #expect(throws: (any Error).self) { try peer.tell("run 1") }
    }
  }

  @Test func `a peer ignores no signal`() throws {
    try with("echo ready ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status)") { peer in
      let ignored = try #require(try peer.expect("ready")["ignored"].flatMap { UInt64($0, radix: 16) })
      #expect(ignored & (1 << (SIGPIPE - 1)) == 0)
    }
  }

  /// A whole run starts a few thousand.
  @Test func `nothing of a peer that has ended stays open`() throws {
    func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
    try with("echo ready") { try $0.expect("ready") }
    let before = try descriptors()
    for _ in 0..<20 { try with("echo ready") { try $0.expect("ready") } }
    #expect(try descriptors() < before + 20)
  }

  /// A peer that is a shell's script.
  private func with(_ script: String, _ body: (PeerProcess) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "poolbus-bench-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "peer")
    try "#!/bin/sh\n\(script)\n".write(to: file, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file.path)
    let peer = try PeerProcess(
      System("peer"), "ping", Configuration(size: 64), place: folder.path, programs: folder.path)
    defer { peer.end() }
    try body(peer)
  }
}
