import BusProtocol
import Foundation
import Glibc
import Logging
import Platform
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import PoolNode

/// How the node's thread divides its time. Here it is the test's.
@Suite struct NodeLoopTests {
  private let path = FileManager.default.temporaryDirectory.appending(path: "pb-\(UUID().uuidString.prefix(8))").path
  private let loop: NodeLoop

  init() throws {
    loop = try NodeLoop(
      configuration: NodeConfiguration(socketPath: path, contribution: 1 << 20), listener: .claim(path: path),
      service: .none, control: NodeControl(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func whoConnectsWithoutEndLeavesTheOthersTheirTurn() throws {
    for _ in 0...NodeLoop.packetsAtATime { _ = try PacketSocket.connect(to: path) }
    loop.acceptAll()
    #expect(loop.connections.count == NodeLoop.packetsAtATime)
    loop.acceptAll()
    #expect(loop.connections.count == NodeLoop.packetsAtATime + 1)
  }

  /// Its socket is writable meanwhile: to watch for that would take a whole core.
  @Test(.enabled(if: DescriptorsUnderWay.canBeExhausted, "the limit can't be reached here by one thread alone"))
  func whatCannotBeSentForDescriptorsUnderWayIsSentAfterAPause() throws {
    let client = try PacketSocket.connect(to: path)
    loop.acceptAll()
    let connection = try #require(loop.connections.values.first)
    let subscription = SubscriptionID(rawValue: 1)
    loop.segments.keepWakePage(try MemoryFile.create(name: "poolbus-test", byteCount: 4096), of: subscription)
    try DescriptorsUnderWay.exhausted {
      let message = NodeMessage.refusal(Refusal(request: 1, code: .limit, message: "comes with a descriptor"))
      loop.send(message, to: connection.id, .wakePage(subscription))
      #expect(connection.waitsToSend && loop.sendAgainAt != nil)
      try loop.poller.wait(timeoutNanoseconds: 0) { #expect(!$0.writable) }
      loop.sendAgain()
      #expect(connection.waitsToSend && loop.sendAgainAt != nil)
    }
    loop.sendAgain()
    #expect(!connection.waitsToSend && loop.sendAgainAt == nil)
    _ = consume client
  }

  /// A child that it had forked has its socket, and could talk on without end.
  @Test func whoHasDiedIsHeardNoFurther() throws {
    let client = try PacketSocket.connect(to: path)
    loop.acceptAll()
    let raw = client.raw
    @Sendable func say(_ bytes: [UInt8]) -> Bool {
      // SAFETY: the kernel copies the bytes.
      unsafe send(raw, bytes, bytes.count, CInt(MSG_NOSIGNAL)) > 0
    }
    let words = try ClientMessage.cancelLease(request: 1).encoded()
    #expect(say(try ClientMessage.hello(Hello(name: "child")).encoded()))
    while say(words) {}
    // From now on it waits for room.
    _ = fcntl(raw, F_SETFL, 0)
    let said = Mutex(0)
    let (speaks, isSilent) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    Thread.detachNewThread {
      speaks.signal()
      while say(words) { said.withLock { $0 += 1 } }
      isSilent.signal()
    }
    speaks.wait()
    loop.died(try #require(loop.connections.values.first))
    isSilent.wait()
    #expect(said.withLock { $0 } == 0)
  }
}
