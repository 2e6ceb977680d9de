import HandleTransport
import Platform
import Testing

/// What every transport promises. Nothing is proved absent by waiting: what must not come would have come before
/// something that does.
@Suite struct ConformanceTests {
  @Test(arguments: Kind.allCases) func handlesArriveInOrder(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    let handles = (0..<500).map { "handle \($0)" }
    for handle in handles { sender.send(handle) }
    #expect(try inbox.next(handles.count) == handles)
    #expect(inbox.take() == nil)
  }

  @Test(arguments: Kind.allCases) func anyBytesTravelAndEmptyHandlesToo(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    for handle in ["", "\0\0", "end"] { sender.send(handle) }
    #expect(try inbox.next(3) == ["", "\0\0", "end"])
  }

  @Test(arguments: Kind.allCases) func onlySubscribedPrefixesArrive(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: ["cam/", "gps"])
    try inbox.meet(sender, greeting: "cam/hello")
    try inbox.meet(sender, greeting: "gps")
    for handle in ["cam", "imu/1", "cam/1", "xcam/2", "gps/3", "", "gps"] { sender.send(handle) }
    #expect(try inbox.next(3) == ["cam/1", "gps/3", "gps"])
  }

  @Test(arguments: Kind.allCases) func nothingArrivesWithoutAPrefix(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let silent = try world.inbox(from: "a")
    let witness = try world.inbox(from: "a", prefixes: [""])
    try witness.meet(sender, greeting: "hello")
    for handle in ["one", "two"] { sender.send(handle) }
    #expect(try witness.next(2) == ["one", "two"])
    silent.receiver.subscribe(prefix: Array("three".utf8))
    try silent.meet(sender, greeting: "three")
    #expect(silent.take() == nil)
  }

  @Test(arguments: Kind.allCases) func unsubscribedPrefixArrivesNoMore(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: ["a", "b"])
    try inbox.meet(sender, greeting: "a")
    try inbox.meet(sender, greeting: "b")
    inbox.receiver.unsubscribe(prefix: Array("a".utf8))
    for handle in ["a1", "b1", "a2", "b2"] { sender.send(handle) }
    #expect(try inbox.next(2) == ["b1", "b2"])
    // What was never subscribed is no matter.
    inbox.receiver.unsubscribe(prefix: Array("c".utf8))
    sender.send("b3")
    #expect(try inbox.next() == "b3")
  }

  @Test(arguments: Kind.allCases) func prefixStaysUntilItWasUnsubscribedAsOften(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: ["a", "a", "b"])
    try inbox.meet(sender, greeting: "b")
    try inbox.meet(sender, greeting: "a")
    inbox.receiver.unsubscribe(prefix: Array("a".utf8))
    sender.send("a1")
    #expect(try inbox.next() == "a1")
    inbox.receiver.unsubscribe(prefix: Array("a".utf8))
    for handle in ["a2", "b2"] { sender.send(handle) }
    #expect(try inbox.next() == "b2")
  }

  @Test(arguments: Kind.allCases) func receiverMayBeThereBeforeItsSender(kind: Kind) throws {
    let world = try World(kind)
    let inbox = try world.inbox(from: "a", prefixes: [""])
    #expect(inbox.take() == nil)
    let sender = try world.sender()
    try inbox.meet(sender, greeting: "hello")
    sender.send("one")
    #expect(try inbox.next() == "one")
  }

  @Test(arguments: Kind.allCases) func disconnectedSenderIsNotHeard(kind: Kind) throws {
    let world = try World(kind)
    let (left, stays) = (try world.sender("left"), try world.sender("stays"))
    let inbox = try world.inbox(from: "left", "stays", prefixes: [""])
    try inbox.meet(left, greeting: "left")
    try inbox.meet(stays, greeting: "stays")
    inbox.receiver.disconnect(from: world.endpoint("left"))
    inbox.receiver.disconnect(from: world.endpoint("never connected"))
    left.send("unheard")
    stays.send("heard")
    #expect(try inbox.next() == "heard")
    // And again, anew.
    try inbox.receiver.connect(to: world.endpoint("left"))
    try inbox.meet(left, greeting: "back")
    #expect(inbox.take() == nil)
  }

  @Test(arguments: Kind.allCases) func senderThatMovesIsHeardByOldAndNewReceivers(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender("old")
    let early = try world.inbox(from: "old", prefixes: [""])
    try early.meet(sender, greeting: "early")
    try sender.move(to: world.endpoint("new"))
    try sender.move(to: world.endpoint("new"))
    let late = try world.inbox(from: "new", prefixes: [""])
    try late.meet(sender, greeting: "late")
    sender.send("both")
    while try early.next() != "both" {}
    while try late.next() != "both" {}
    // When it moves once more, its first place is free for another.
    try sender.move(to: world.endpoint("newer"))
    let other = try world.sender("old")
    let inbox = try world.inbox(from: "old", prefixes: [""])
    try inbox.meet(other, greeting: "other")
  }

  @Test(arguments: Kind.allCases) func connectingTwiceIsConnectingOnce(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    for handle in ["one", "two"] { sender.send(handle) }
    #expect(try inbox.next(2) == ["one", "two"])
  }

  @Test(arguments: Kind.allCases) func closedSenderSendsNothingAndDisturbsNobody(kind: Kind) throws {
    let world = try World(kind)
    let (closed, open) = (try world.sender("closed"), try world.sender("open"))
    let inbox = try world.inbox(from: "closed", "open", prefixes: [""])
    try inbox.meet(closed, greeting: "closed")
    try inbox.meet(open, greeting: "open")
    let count = closed.sentCount
    closed.close()
    closed.close()
    closed.send("too late")
    #expect(closed.sentCount == count)
    open.send("in time")
    #expect(try inbox.next() == "in time")
  }

  @Test(arguments: Kind.allCases) func senderThatNobodyHearsSendsAllTheSame(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    for _ in 0..<5000 { sender.send("handle") }
    #expect(sender.sentCount == 5000)
  }

  /// Returns at all: a sender that waited for this thread, which does not read meanwhile, would wait for ever.
  @Test(arguments: Kind.allCases) func slowReceiverLosesHandlesAndHoldsNobodyUp(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let (slow, quick) = (try world.inbox(from: "a", prefixes: [""]), try world.inbox(from: "a", prefixes: ["end"]))
    try slow.meet(sender, greeting: "hello")
    try quick.meet(sender, greeting: "end")
    while slow.take() != nil {}
    let padding = String(repeating: "x", count: 200)
    let sent = 50_000
    for number in 0..<sent {
      sender.send("\(number) \(padding)")
      // No faster than the quick one, so that the slow one's own limits are what fills up.
      guard number.isMultiple(of: 500) else { continue }
      sender.send("end of \(number)")
      #expect(try quick.next() == "end of \(number)")
    }

    // What had room comes in order, and the receiver is as good as new.
    var numbers: [Int] = []
    var handle = try slow.next()
    while true {
      if let number = Int(handle.prefix { $0 != " " }) { numbers.append(number) }
      if handle == "after" { break }
      if let waiting = slow.take() {
        handle = waiting
      } else {
        sender.send("after")
        handle = try slow.next()
      }
    }
    #expect(numbers.count >= 900 && numbers.count < 10_000)
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test(arguments: Kind.allCases) func handleIsCutToTheBuffersSize(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    for handle in ["0123456789", "abcd", String(repeating: "x", count: 1024), "efgh"] { sender.send(handle) }
    #expect(try inbox.next(room: 4) == "0123")
    #expect(try inbox.next(room: 4) == "abcd")
    #expect(try inbox.next(room: 4) == "xxxx")
    #expect(try inbox.next(room: 0) == "")
    #expect(inbox.take() == nil)
  }

  @Test(arguments: Kind.allCases) func everyReceiverGetsEveryHandle(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inboxes = try (0..<5).map { _ in try world.inbox(from: "a", prefixes: ["all"]) }
    for (index, inbox) in inboxes.enumerated() {
      inbox.receiver.subscribe(prefix: Array("\(index)".utf8))
      try inbox.meet(sender, greeting: "\(index)")
    }
    let handles = (0..<100).map { "all \($0)" }
    for handle in handles { sender.send(handle) }
    for inbox in inboxes { #expect(try inbox.next(handles.count) == handles) }
  }

  @Test(arguments: Kind.allCases) func oneReceiverHearsManySenders(kind: Kind) throws {
    let world = try World(kind)
    let names = (0..<8).map { "sender\($0)" }
    let inbox = try world.inbox(prefixes: [""])
    let senders = try names.map { try world.sender($0) }
    for (name, sender) in zip(names, senders) {
      try inbox.receiver.connect(to: world.endpoint(name))
      try inbox.meet(sender, greeting: name)
    }
    for number in 0..<50 {
      for (name, sender) in zip(names, senders) { sender.send("\(name) \(number)") }
    }
    let handles = try inbox.next(names.count * 50)
    for name in names {
      #expect(handles.filter { $0.hasPrefix(name) } == (0..<50).map { "\(name) \($0)" })
    }
  }

  @Test(arguments: Kind.allCases) func descriptorIsReadableAfterEachSilence(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    for number in 0..<200 {
      // Emptied, as the protocol asks; then only the descriptor tells of the next handle.
      #expect(inbox.take() == nil)
      sender.send("handle \(number)")
      #expect(try inbox.next() == "handle \(number)")
    }
  }

  @Test(arguments: Kind.allCases) func handlesFromAnotherThreadWakeTheReceiver(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let (pings, pongs) = (try world.inbox(from: "a", prefixes: ["ping"]), try world.inbox(from: "b", prefixes: [""]))
    let echo = try world.sender("b")
    try pings.meet(sender, greeting: "ping")
    try pongs.meet(echo, greeting: "pong")
    try startThread(named: "echo") {
      while let handle = try? pings.next(), handle != "ping last" { echo.send(handle) }
    }
    for number in 0..<200 {
      sender.send("ping \(number)")
      #expect(try pongs.next() == "ping \(number)")
    }
    sender.send("ping last")
  }

  @Test(arguments: Kind.allCases) func senderServesManyThreads(kind: Kind) async throws {
    let world = try World(kind)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    try inbox.meet(sender, greeting: "hello")
    let before = sender.sentCount
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<4 {
        group.addTask { for number in 0..<100 { sender.send("\(task) \(number)") } }
      }
    }
    #expect(sender.sentCount == before + 400)
    let handles = try inbox.next(400)
    for task in 0..<4 {
      #expect(handles.filter { $0.hasPrefix("\(task) ") } == (0..<100).map { "\(task) \($0)" })
    }
  }

  @Test(arguments: Kind.allCases) func handlesAndBytesAreCounted(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    #expect(sender.sentCount == 0 && sender.sentByteCount == 0)
    for handle in ["a", "", "bcd"] { sender.send(handle) }
    #expect(sender.sentCount == 3)
    #expect(sender.sentByteCount == 4)
  }

  @Test(arguments: Kind.allCases) func closedReceiverReceivesNothingAndDisturbsNobody(kind: Kind) throws {
    let world = try World(kind)
    let sender = try world.sender()
    let (closed, open) = (try world.inbox(from: "a", prefixes: [""]), try world.inbox(from: "a", prefixes: [""]))
    try open.meet(sender, greeting: "hello")
    closed.receiver.close()
    closed.receiver.close()
    for handle in ["one", "two"] { sender.send(handle) }
    while try open.next() != "two" {}
    #expect(closed.take() == nil)
    closed.receiver.subscribe(prefix: [1])
    closed.receiver.unsubscribe(prefix: [1])
    closed.receiver.disconnect(from: world.endpoint())
    #expect(throws: TransportError.self) { try closed.receiver.connect(to: world.endpoint()) }
    #expect(closed.take() == nil)
  }

  @Test(arguments: Kind.allCases) func senderThatWasLetGoSendsNoMore(kind: Kind) throws {
    let world = try World(kind)
    let inbox = try world.inbox(from: "a", "b", prefixes: [""])
    var sender: (any HandleSender)? = try world.sender()
    weak let weakly = sender
    if let sender { try inbox.meet(sender, greeting: "hello") }
    sender = nil
    #expect(weakly == nil)
    let other = try world.sender("b")
    try inbox.meet(other, greeting: "other")
  }

  @Test(arguments: Kind.allCases) func receiverAndSenderMayOutliveTheirTransport(kind: Kind) throws {
    let (sender, inbox): (any HandleSender, Inbox)
    do {
      let world = try World(kind)
      (sender, inbox) = (try world.sender(), try world.inbox(from: "a", prefixes: [""]))
      try inbox.meet(sender, greeting: "hello")
    }
    sender.send("one")
    #expect(try inbox.next() == "one")
  }
}
