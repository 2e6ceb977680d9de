import Glibc
import TestProcesses
import TestSupport
import Testing

extension EndToEnd {
  @Suite struct Deaths {
    /// Which process is killed, and what it is about.
    enum Victim: CaseIterable {
      /// A loan half written.
      case publisherInMidWrite
      /// Publishing as fast as it can.
      case publisherAtWork
      /// Samples in its hands, of the stream of the living.
      case subscriberHoldingSamples
      /// Receiving all there is.
      case subscriberAtWork
      /// As the above, but with a forked child that lives on with copies of its socket and memfds.
      case publisherWithChild
      case subscriberWithChild
      /// Somewhere between its first instruction and its first message.
      case joining
    }

    @Test("200 processes killed at random moments take nothing with them, and the living miss nothing")
    func chaos() async throws {
      let seed = UInt64.random(in: 0 ... .max)
      var random = SplitMix64(seed: seed)
      let kills = 200
      let batch = 100
      do {
        try await Workplace.with(contribution: 256 << 20) { place in
          let publisher = try await place.publisher("living --sizes 8,4096,100000")
          let subscriber = try await place.subscriber("living --sizes 8,4096,100000")
          // Sees what the victims publish before they die; each stream of theirs, as far as it goes, without a gap.
          let witness = try await place.subscriber("victim/* --sizes 300,70000")
          subscriber.tell("take \(kills * batch)")
          witness.tell("run")

          for round in 1...kills {
            let victim = Victim.allCases.randomElement(using: &random)!
            let process = try await start(victim, in: place, round, &random) {
              publisher.tell("publish \(batch)")
            }
            _ = try await place.books()
            process.signal(SIGKILL)
            _ = try await place.books()
            #expect(try await process.exit() == .signal(SIGKILL))
            _ = try await place.books()
          }

          for round in 1...kills { try await publisher.line("published \(round * batch)") }
          try await subscriber.line("took \(kills * batch) 0")
          // Forked children of the dead still live here: they hold nothing but copies.
          try await place.books("all that the dead held has come back") { books in
            books.clients.count == 4 && books.topics.allSatisfy { $0.topic.text == "living" || $0.bytes == 0 }
          }
          #expect(try await witness.ask("close", "took").last == "0")
          for peer in [publisher, subscriber, witness] { #expect(try await peer.end() == .code(0)) }
          try await place.books("the pool is empty while children of the dead live") {
            $0.pool.free == $0.pool.contribution
          }
        }
      } catch {
        Issue.record("the seed was \(seed)")
        throw error
      }
    }

    /// Starts a victim, and brings it to where it is to be killed; the living publish when it has joined.
    private func start(
      _ victim: Victim, in place: Workplace, _ number: Int, _ random: inout SplitMix64, publish: () -> Void
    ) async throws -> PeerProcess {
      let topic = "victim/\(number) --sizes 300,70000"
      let living = "living --sizes 8,4096,100000"
      switch victim {
      case .publisherInMidWrite, .publisherWithChild:
        publish()
        let process = try await place.publisher(topic)
        try await process.ask("publish 5", "published 5")
        try await process.ask("loan \(Int.random(in: 1...1_000_000, using: &random))", "loaned")
        if victim == .publisherWithChild { try await fork(process, in: place) }
        return process
      case .publisherAtWork:
        publish()
        let process = try await place.publisher(topic)
        process.tell("run")
        try await pause(&random)
        return process
      case .subscriberHoldingSamples, .subscriberWithChild:
        let process = try await place.subscriber(living)
        publish()
        try await process.ask("hold 3", "took 3 0")
        if victim == .subscriberWithChild { try await fork(process, in: place) }
        return process
      case .subscriberAtWork:
        let process = try await place.subscriber(living)
        publish()
        process.tell("run")
        try await pause(&random)
        return process
      case .joining:
        publish()
        let process = try place.peer(Bool.random(using: &random) ? "publish \(topic)" : "subscribe \(living)")
        try await pause(&random)
        return process
      }
    }

    private func fork(_ process: PeerProcess, in place: Workplace) async throws {
      guard let child = try await process.ask("fork", "forked").first.flatMap({ pid_t($0) }) else { return }
      place.adopt(orphan: child)
    }

    /// Not to wait for anything: to let the kill come at any instruction.
    private func pause(_ random: inout SplitMix64) async throws {
      try await Task.sleep(for: .microseconds(Int.random(in: 0...30_000, using: &random)))
    }
  }
}
