import HandleTransport
import Testing

/// What the twin promises beyond ZeroMQ, which takes a socket's path from whoever has it.
@Suite struct InProcessTests {
  @Test func endpointHasOneSenderAtATime() throws {
    let world = try World(.inProcess)
    var first: (any HandleSender)? = try world.sender()
    let error = #expect(throws: TransportError.self) { _ = try world.sender() }
    #expect(error?.endpoint == world.endpoint())
    first?.close()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    first = try world.sender()
    first?.send("one")
    #expect(inbox.takeAll() == ["one"])
    first = nil
    let last = try world.sender()
    last.send("two")
    #expect(inbox.takeAll() == ["two"])
  }

  @Test func transportsAreWorldsOfTheirOwn() throws {
    let (here, there) = (InProcessTransport(), InProcessTransport())
    let senders = (try here.sender(at: "a"), try there.sender(at: "a"))
    let receiver = try here.receiver()
    try receiver.connect(to: "a")
    receiver.subscribe(prefix: [])
    senders.0.send("here")
    senders.1.send("there")
    #expect(try Inbox(receiver).takeAll() == ["here"])
  }

  @Test func whoIsLetGoIsHeldByNobody() throws {
    weak var transport: InProcessTransport?
    do {
      let world = InProcessTransport()
      transport = world
      try world.receiver().connect(to: "a")
    }
    #expect(transport == nil)
  }

  @Test func queueHoldsAThousand() throws {
    let world = try World(.inProcess)
    let sender = try world.sender()
    let inbox = try world.inbox(from: "a", prefixes: [""])
    for number in 0..<1500 { sender.send("\(number)") }
    #expect(inbox.takeAll() == (0..<1000).map { "\($0)" })
    sender.send("after")
    #expect(inbox.takeAll() == ["after"])
  }
}
