import BusProtocol
import Foundation
import Logging
import Platform
import Testing

@testable import PoolNode

/// The node as a process sees it: its socket, its directory, its end.
@Suite struct NodeTests {
  let directory = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path

  func start(_ path: String) throws -> Node {
    try Node.start(
      NodeConfiguration(socketPath: path, contribution: 1 << 20),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func theSecondNodeIsToldWhoHasTheSocket() async throws {
    let path = "\(directory)/node.sock"
    let first = try start(path)
    do {
      _ = try start(path)
      Issue.record("two nodes have one socket")
    } catch let error as NodeError {
      #expect("\(error)".contains("process \(getpid()) serves \(path)"))
    }
    first.stop()
    await first.waitUntilStopped()
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
    try FileManager.default.removeItem(atPath: directory)
  }

  @Test(arguments: [false, true]) func aNodeThatStopsLeavesASignIfClientsMayBringSomethingBack(subscribes: Bool)
    async throws
  {
    let path = "\(directory)/node.sock"
    let first = try start(path)
    let client = try PacketSocket.connect(to: path)
    for message in [.hello(Hello(name: "client"))] + (subscribes ? [.subscribe(.test("**"))] : [ClientMessage]()) {
      let bytes = try message.encoded()
      // SAFETY: an array of bytes has no padding.
      #expect(try client.send(unsafe bytes.span.bytes) == .sent)
    }
    // Until it has answered.
    let poller = try Poller()
    try poller.add(client.raw, token: 0, .readable)
    try poller.wait(timeoutNanoseconds: nil) { _ in }
    first.stop()
    await first.waitUntilStopped()
    #expect(FileManager.default.fileExists(atPath: path) == subscribes)
    let next = try start(path)
    #expect(next.configuration.followsAnother == subscribes)
    next.stop()
    await next.waitUntilStopped()
    #expect(!FileManager.default.fileExists(atPath: path))
    try FileManager.default.removeItem(atPath: directory)
  }

  @Test func whatDeadClientsLeftIsTakenAway() async throws {
    let path = "\(directory)/node.sock"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for name in ["node.sock.77-12", "node.sock.note", "other.77-3"] {
      _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: nil)
    }
    let node = try start(path)
    func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory).sorted() }
    #expect(try files() == ["node.sock", "node.sock.note", "other.77-3"])
    // Of one that made its socket when the node had forgotten it; and of another node's.
    for name in ["node.sock.\(getpid())-12", "node.sock.77-13"] {
      _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: nil)
    }
    node.stop()
    await node.waitUntilStopped()
    #expect(try files() == ["node.sock.77-13", "node.sock.note", "other.77-3"])
    try FileManager.default.removeItem(atPath: directory)
  }

  @Test func aPathThatIsTooLongIsRefusedInWords() {
    let path = "/tmp/" + String(repeating: "x", count: 100) + "/node.sock"
    #expect { try start(path) } throws: { "\($0)".contains("choose a shorter one") }
  }

  @Test func aContributionThatHoldsNothingIsRefused() {
    #expect {
      try Node.start(
        NodeConfiguration(socketPath: "\(directory)/n", contribution: 4096),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    } throws: { "\($0)".contains("contribute at least") }
  }
}
