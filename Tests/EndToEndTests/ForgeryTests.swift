import Testing

extension EndToEnd {
  /// A client that lies to a node which has just started anew.
  @Suite struct Forgeries {
    @Test("Forged memory is refused in words, its client sent away; those who go on with the node notice nothing")
    func memory() async throws {
      try await Workplace.with(contribution: 2 << 30) { place in
        let subscriber = try await place.subscriber("* --sizes 1000")
        let publisher = try await place.publisher("a --sizes 1000")
        try await publisher.ask("publish 500", "published 500")
        await place.leaveInspector()
        try await place.node?.kill()
        try await place.startNode()
        publisher.tell("run")
        for (forgery, why) in [
          ("nothing", "without its memory"), ("pipe", "is no memory file"),
          ("other-name", "was made as 'poolbus-segment-1'"), ("other-stream", "-3@4d-lies', not as"),
          ("other-topic", "-1@4d-truth', not as"), ("open-length", "its length is not sealed"),
          ("no-pages", "are backed with memory"), ("no-header", "does not begin like a segment"),
        ] {
          let liar = try place.peer("lie \(forgery)")
          let refusal = try await liar.line("refused").joined(separator: " ")
          #expect(refusal.contains(why), "\(forgery): \(refusal)")
        }
        for peer in [publisher, subscriber] { try await peer.line("node-rejoined") }
        let last = try #require(try await publisher.ask("at", "published").first)
        try await publisher.line("at")
        try await subscriber.ask("take \(last)", "took \(last) 0")
        try await place.books("nothing is left of the lies") { $0.topics.allSatisfy { $0.topic.text != "lies" } }
      }
    }
  }
}
