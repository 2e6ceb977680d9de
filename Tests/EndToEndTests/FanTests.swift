import TestProcesses
import Testing

extension EndToEnd {
  @Suite struct Fans {
    private static let messages = 100_000
    private static let ends = 1...16

    @Test("One publisher, 16 subscribers: each receives every message in order, once")
    func fanOut() async throws {
      try await Workplace.with(contribution: 256 << 20) { place in
        var subscribers: [PeerProcess] = []
        for _ in Self.ends { subscribers.append(try await place.subscriber("fan/out")) }
        for subscriber in subscribers { subscriber.tell("take \(Self.messages)") }
        let publisher = try await place.publisher("fan/out")
        let stream = try await place.books().streams[0].stream.rawValue
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages)")
        for subscriber in subscribers {
          try await subscriber.line("first \(stream) 1")
          try await subscriber.line("took \(Self.messages) 0")
        }
      }
    }

    @Test("16 publishers, one subscriber: it receives every message of each in order, once")
    func fanIn() async throws {
      try await Workplace.with(contribution: 256 << 20) { place in
        let subscriber = try await place.subscriber("fan/*")
        subscriber.tell("take \(Self.ends.count * Self.messages)")
        var publishers: [PeerProcess] = []
        for number in Self.ends { publishers.append(try await place.publisher("fan/\(number)")) }
        for publisher in publishers { publisher.tell("publish \(Self.messages)") }
        // From 1, without a gap, so many in all: that is all of each.
        for _ in Self.ends { #expect(try await subscriber.line("first").last == "1") }
        for publisher in publishers { try await publisher.line("published \(Self.messages)") }
        try await subscriber.line("took \(Self.ends.count * Self.messages) 0")
      }
    }

    @Test("Every way of waiting receives every message", arguments: ["block", "spin", "adaptive"])
    func waiting(mode: String) async throws {
      try await Workplace.with(contribution: 64 << 20) { place in
        let subscriber = try await place.subscriber("fan/waiting --waiting \(mode)")
        let publisher = try await place.publisher("fan/waiting")
        // One at a time, so that the subscriber waits for each; then a burst.
        for last in 1...100 {
          subscriber.tell("take 1")
          try await publisher.ask("publish 1", "published \(last)")
          try await subscriber.line("took 1 0")
        }
        subscriber.tell("take \(Self.messages)")
        try await publisher.ask("publish \(Self.messages)", "published \(Self.messages + 100)")
        try await subscriber.line("took \(Self.messages) 0")
      }
    }
  }
}
