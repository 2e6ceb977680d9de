import Glibc
import Platform
import Testing

@Suite struct PollerTests {
  @Test func nothingIsReadyWhenTheTimeIsOver() throws {
    let pair = try PacketSocket.Pair()
    let poller = try Poller()
    try poller.add(pair.first.raw, token: 1, .readable)
    let count = try poller.wait(timeoutNanoseconds: 1_000) { _ in Issue.record("nothing happened") }
    #expect(count == 0)
  }

  @Test func readableUntilItWasRead() throws {
    let pair = try PacketSocket.Pair()
    let poller = try Poller()
    try poller.add(pair.first.raw, token: .max, .readable)
    #expect(try pair.second.send([1]) == .sent)
    for _ in 0..<2 {
      let ready = try poller.ready(withinNanoseconds: nil)
      #expect(ready.map(\.token) == [.max])
      #expect(ready.allSatisfy { $0.readable && !$0.writable && !$0.hungUp })
    }
    #expect(try pair.first.receive() == .packet([1]))
    #expect(try poller.ready().isEmpty)
  }

  @Test func writableOnceThereIsRoom() throws {
    let pair = try PacketSocket.Pair()
    let poller = try Poller()
    try poller.add(pair.first.raw, token: 2, .writable)
    #expect(try poller.ready().map(\.writable) == [true])
    let packet = [UInt8](repeating: 0, count: 1024)
    let count = try pair.first.fill(with: packet)
    #expect(try poller.ready().isEmpty)
    for _ in 0..<count { #expect(try pair.second.receive() == .packet(packet)) }
    #expect(try poller.ready(withinNanoseconds: nil).map(\.writable) == [true])
  }

  @Test(arguments: [[], .readable, .writable] as [Poller.Interest])
  func hangUpIsReportedWhateverTheInterest(interest: Poller.Interest) throws {
    let (first, second) = try End.pair()
    let poller = try Poller()
    try poller.add(first.raw, token: 3, interest)
    second.hangUp()
    let ready = try poller.ready(withinNanoseconds: nil)
    #expect(ready.map(\.token) == [3])
    #expect(ready.map(\.hungUp) == [true])
  }

  @Test func interestAndTokenCanChange() throws {
    let pair = try PacketSocket.Pair()
    let poller = try Poller()
    try poller.add(pair.first.raw, token: 4, .writable)
    #expect(throws: Errno.fileExists) { try poller.add(pair.first.raw, token: 4, .readable) }
    try poller.modify(pair.first.raw, token: 5, .readable)
    #expect(try poller.ready().isEmpty)
    try poller.modify(pair.first.raw, token: 6, [.readable, .writable])
    #expect(try poller.ready().map(\.token) == [6])
    try poller.remove(pair.first.raw)
    #expect(try poller.ready().isEmpty)
    #expect(throws: Errno.noSuchFileOrDirectory) { try poller.remove(pair.first.raw) }
  }

  @Test func moreThanOneCallCanTellAreToldByTheNext() throws {
    let poller = try Poller()
    let events = try (0..<100).map { _ in try Event() }
    for (token, event) in events.enumerated() {
      try poller.add(event.wake.raw, token: UInt64(token), .readable)
      event.wake.signal()
    }
    var seen: Set<UInt64> = []
    while seen.count < events.count {
      let ready = try poller.ready()
      #expect(!ready.isEmpty && ready.count <= 64)
      guard !ready.isEmpty else { break }
      for one in ready {
        seen.insert(one.token)
        events[Int(one.token)].wake.clear()
      }
    }
    #expect(try poller.ready().isEmpty)
  }

  @Test func wakeEventStaysReadableUntilCleared() throws {
    let event = try WakeEvent()
    let poller = try Poller()
    try poller.add(event.raw, token: 7, .readable)
    event.clear()
    #expect(try poller.ready().isEmpty)
    for _ in 0..<3 { event.signal() }
    #expect(try poller.ready().map(\.token) == [7])
    #expect(try poller.ready().map(\.token) == [7])
    event.clear()
    #expect(try poller.ready().isEmpty)
  }

  @Test func wakeEventEndsAnotherThreadsWait() throws {
    let event = Event.shared
    let poller = try Poller()
    try poller.add(event.wake.raw, token: 8, .readable)
    try startThread(named: "waker") { Event.shared.wake.signal() }
    #expect(try poller.ready(withinNanoseconds: nil).map(\.token) == [8])
  }

  @Test func noFileIsNoReason() throws {
    let poller = try Poller()
    #expect(throws: Errno.badFileDescriptor) { try poller.add(-1, token: 0, .readable) }
  }
}

private final class Event: Sendable {
  static let shared = (try? Event())!
  let wake: WakeEvent

  init() throws { wake = try WakeEvent() }
}
