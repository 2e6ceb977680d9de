import Testing

@testable import poolbus_faults

/// A checker that can't fail proves nothing: each of these shows it what it must not let pass, and what it must.
@Suite struct CheckerTests {
  // MARK: - What is sound

  @Test("All in order, once, to the end")
  func sound() { #expect(rules(evidence()) == []) }

  @Test("Of who was killed, the last message may be delivered or not")
  func lastDeed() {
    var lost = evidence()
    lost.streams[0].messages[9].end = nil
    #expect(rules(lost) == [])
    lost.subscriptions[0].events.removeLast()
    #expect(rules(lost) == [])
    lost.subscriptions[0].events.removeLast()
    #expect(rules(lost) == [.missing])
  }

  @Test("What was begun and refused is no message")
  func refusedPublish() {
    var stream = StreamEvidence(author: author, topic: "a", mayEvict: false, retains: false)
    stream.add(Record(kind: .publishing, value: 1, count: 2, size: 5, time: 1, outcome: .failed, end: 2))
    #expect(stream.messages.isEmpty)
    stream.add(Record(kind: .publishing, value: 1, count: 2, size: 5, time: 3, outcome: .done, end: 4))
    #expect(stream.certain == 2)
    stream.add(Record(kind: .publishing, value: 2, count: 1, size: 5, time: 5, outcome: .done, end: 6))
    #expect(stream.problems.count == 1)
  }

  @Test("A killed subscription knows a beginning of it all, without a gap")
  func prefix() {
    var evidence = evidence()
    evidence.subscriptions[0].isClosed = false
    evidence.subscriptions[0].events.removeLast(4)
    #expect(rules(evidence) == [])
    evidence.subscriptions[0].events.remove(at: 2)
    #expect(rules(evidence) == [.gap])
  }

  @Test("A lag is no loss where a policy takes messages")
  func lag() {
    var evidence = evidence()
    evidence.subscriptions[0].events.replaceSubrange(2...4, with: [.lagged(stream: 7, sequences: 3...5)])
    #expect(rules(evidence) == [.lagWithoutPolicy])
    var limited = evidence
    limited.subscriptions[0].mayLag = true
    #expect(rules(limited) == [])
    // Who could not map what it was handed has lost that.
    var cramped = evidence
    cramped.harm = [.init(target: .worker(2), fault: .exhaustAddresses(spare: 0), time: 1)]
    #expect(rules(cramped) == [])
    evidence.streams[0].mayEvict = true
    #expect(rules(evidence) == [])
  }

  @Test("Who joins late begins with what comes after, or with what the topic keeps")
  func late() {
    var evidence = evidence()
    evidence.subscriptions[0].asked = 1045
    evidence.subscriptions[0].subscribed = 1050
    evidence.subscriptions[0].events.removeFirst(4)
    #expect(rules(evidence) == [])
    var early = self.evidence()
    early.subscriptions[0].asked = 1045
    early.subscriptions[0].subscribed = 1050
    #expect(rules(early) == [.start])
    early.streams[0].retains = true
    #expect(rules(early) == [])
    early.subscriptions[0].receivesRetained = false
    #expect(rules(early) == [.start])
  }

  // MARK: - What is not

  @Test("A message twice, out of its order, or not at all")
  func order() {
    var evidence = evidence()
    let events = evidence.subscriptions[0].events
    evidence.subscriptions[0].events.insert(events[3], at: 5)
    #expect(rules(evidence) == [.once])
    evidence.subscriptions[0].events = events
    evidence.subscriptions[0].events.swapAt(3, 4)
    #expect(rules(evidence).contains(.gap) && rules(evidence).contains(.once))
    evidence.subscriptions[0].events = events
    evidence.subscriptions[0].events.remove(at: 3)
    #expect(rules(evidence) == [.gap])
    evidence.subscriptions[0].events = Array(events.dropLast())
    #expect(rules(evidence) == [.missing])
    evidence.subscriptions[0].events = []
    #expect(rules(evidence) == [.missing])
    evidence.subscriptions[0].events = Array(events.dropFirst())
    #expect(rules(evidence) == [.start])
  }

  @Test("A message that was reported lost and comes all the same")
  func lagAndMessage() {
    var evidence = evidence()
    evidence.subscriptions[0].mayLag = true
    evidence.subscriptions[0].events.insert(.lagged(stream: 7, sequences: 3...3), at: 2)
    #expect(rules(evidence) == [.once])
  }

  @Test("Bytes that are not what was written, or not as many")
  func bytes() {
    var evidence = evidence()
    evidence.subscriptions[0].events.append(.damaged(stream: 7, sequence: 4, offset: 12))
    #expect(rules(evidence) == [.intact])
    evidence = self.evidence()
    evidence.subscriptions[0].events[4] = .received(stream: 7, sequence: 5, size: 99, author: author.code)
    #expect(rules(evidence) == [.intact])
  }

  @Test("Messages that nobody has published, or to nobody who asked")
  func invented() {
    var evidence = evidence()
    evidence.subscriptions[0].events.append(.received(stream: 7, sequence: 11, size: 20, author: author.code))
    #expect(rules(evidence) == [.invented])
    evidence = self.evidence()
    evidence.subscriptions[0].events.append(.received(stream: 8, sequence: 1, size: 20, author: 99))
    #expect(rules(evidence) == [.invented])
    evidence = self.evidence()
    evidence.subscriptions[0].events[3] = .received(stream: 7, sequence: 4, size: 20, author: 99)
    #expect(rules(evidence).contains(.invented))
    evidence = self.evidence()
    evidence.subscriptions[0].pattern = "b"
    #expect(Set(rules(evidence)) == [.invented])
    evidence = self.evidence()
    evidence.subscriptions[0].mayLag = true
    evidence.subscriptions[0].events.append(.lagged(stream: 7, sequences: 11...12))
    #expect(rules(evidence) == [.invented])
  }

  @Test("An end that nothing explains; one that was caused is none")
  func ends() {
    var evidence = evidence()
    evidence.subscriptions[0].failure = (.refused, 2000)
    evidence.streams[0].failure = (.nodeLost, 2000)
    #expect(rules(evidence) == [.failure, .failure])
    for worker in [1, 2] {
      evidence.harm.append(
        .init(target: .worker(worker), fault: .exhaustDescriptors(spare: 0, milliseconds: 1), time: 1))
    }
    #expect(rules(evidence) == [])
  }

  @Test("A loan that was refused for want of memory, or of a descriptor, while nothing was done that takes them")
  func refusals() {
    var evidence = evidence()
    evidence.streams[0].refusals = [.poolExhausted]
    #expect(rules(evidence) == [])
    evidence.streams[0].refusals = [.outOfMemory]
    #expect(rules(evidence) == [.failure])
    evidence.harm = [.init(target: .node, fault: .exhaustMemory(largest: 0, milliseconds: 1), time: 1)]
    #expect(rules(evidence) == [])
    evidence.harm = [.init(target: .worker(2), fault: .exhaustDescriptors(spare: 0, milliseconds: 1), time: 1)]
    #expect(rules(evidence) == [.failure])
    evidence.harm = [.init(target: .worker(1), fault: .exhaustDescriptors(spare: 0, milliseconds: 1), time: 1)]
    #expect(rules(evidence) == [])
  }

  @Test("What ruined itself may lose its end, and nobody else anything")
  func ruin() {
    var evidence = evidence()
    evidence.harm = [.init(target: .worker(1), fault: .closeDescriptors(1), time: 1055)]
    evidence.subscriptions[0].events.removeLast(5)
    #expect(rules(evidence) == [])
    evidence.subscriptions[0].events.removeLast()
    #expect(rules(evidence) == [.missing])
    evidence.subscriptions[0].events.remove(at: 1)
    #expect(Set(rules(evidence)) == [.missing, .gap])
  }

  @Test("A corrupt segment is its own publisher's, if something was done to that")
  func corrupt() {
    var evidence = evidence()
    evidence.subscriptions[0].events.replaceSubrange(3...5, with: [.corrupt])
    #expect(Set(rules(evidence)) == [.intact, .gap])
    evidence.harm = [.init(target: .worker(1), fault: .closeDescriptors(1), time: 1035)]
    #expect(rules(evidence) == [])
    evidence.harm = [.init(target: .worker(3), fault: .closeDescriptors(1), time: 1035)]
    #expect(Set(rules(evidence)) == [.intact, .gap])
  }

  @Test("With the node restarted, clients may lose it, unless they must live through it")
  func restarted() {
    var evidence = evidence()
    evidence.harm = [.init(target: .node, fault: .restart(milliseconds: 1), time: 1055)]
    evidence.streams[0].failure = (.nodeLost, 1200)
    evidence.subscriptions[0].failure = (.nodeLost, 1200)
    evidence.subscriptions[0].isClosed = false
    evidence.subscriptions[0].events.removeLast(2)
    #expect(rules(evidence) == [])
    evidence.expectsRejoin = true
    #expect(rules(evidence) == [.failure, .failure])
    evidence.streams[0].failure = nil
    evidence.subscriptions[0].failure = nil
    evidence.subscriptions[0].isClosed = true
    #expect(rules(evidence) == [.missing])
  }

  @Test("With the node restarted, who does not wait for memory is refused loans, and does not fail")
  func impatient() {
    var evidence = evidence()
    evidence.expectsRejoin = true
    evidence.harm = [.init(target: .node, fault: .restart(milliseconds: 1), time: 1055)]
    evidence.streams[0].refusals = [.nodeLost]
    #expect(rules(evidence) == [.failure])
    evidence.streams[0].givesUp = true
    #expect(rules(evidence) == [])
    evidence.harm = []
    #expect(rules(evidence) == [.failure])
    evidence.harm = [
      .init(target: .worker(1), fault: .exhaustDescriptors(spare: 0, milliseconds: 1), time: 1055)
    ]
    #expect(rules(evidence) == [])
  }

  @Test("What only the node and a publisher had is gone with both")
  func lostWithTheNode() {
    var evidence = evidence()
    evidence.expectsRejoin = true
    evidence.subscriptions[0].events.removeLast(2)
    #expect(rules(evidence) == [.missing])
    evidence.harm = [.init(target: .worker(1), fault: .kill, time: 2000)]
    #expect(rules(evidence) == [.missing])
    evidence.harm.append(.init(target: .node, fault: .restart(milliseconds: 1), time: 1900))
    #expect(rules(evidence) == [])
    evidence.subscriptions[0].events.append(.lagged(stream: 7, sequences: 9...10))
    #expect(rules(evidence) == [])
    evidence.subscriptions[0].events.removeLast()
    var failed = evidence
    failed.harm[0] = .init(target: .worker(1), fault: .exhaustDescriptors(spare: 0, milliseconds: 1), time: 1200)
    failed.streams[0].failure = (.nodeLost, 1800)
    #expect(rules(failed) == [])
    // It had time to rejoin.
    evidence.harm[0].time += Evidence.timeToRejoin
    #expect(rules(evidence) == [.missing])
  }

  @Test("With the node restarted, a stream's number still says whose it is")
  func lagsOnly() {
    var evidence = evidence()
    evidence.expectsRejoin = true
    evidence.harm = [.init(target: .node, fault: .restart(milliseconds: 1), time: 1200)]
    evidence.subscriptions[0].mayLag = true
    evidence.subscriptions[0].events = [.lagged(stream: 7, sequences: 1...10)]
    #expect(rules(evidence) == [])
    evidence.subscriptions[0].events = [.lagged(stream: 7, sequences: 1...9)]
    #expect(rules(evidence) == [.missing])
  }

  @Test("With the node restarted, lags of streams that nothing names are not taken for one stream's")
  func unnamedLags() {
    var evidence = evidence()
    evidence.harm = [.init(target: .node, fault: .restart(milliseconds: 1), time: 1200)]
    evidence.subscriptions[0].mayLag = true
    evidence.subscriptions[0].add(Record(kind: .lagged, subject: 20, value: 40, count: 10))
    evidence.subscriptions[0].add(Record(kind: .lagged, subject: 21, value: 1, count: 3))
    #expect(rules(evidence) == [])
  }

  @Test("What is still missing is told while it is waited for")
  func missing() {
    var evidence = evidence()
    evidence.subscriptions[0] = subscription(of: 1...7)
    evidence.subscriptions[0].isClosed = false
    #expect(Checker.missing(in: evidence, living: [2]).map(\.rule) == [.missing])
    #expect(Checker.missing(in: evidence, living: [3]) == [])
    evidence.subscriptions[0] = subscription(of: 1...10)
    #expect(Checker.missing(in: evidence, living: [2]) == [])
  }

  // MARK: - A small world

  /// Process 1 has published ten messages, the first at 1010, the next at 1020, …
  private let author = Author(worker: 1, publisher: 0, life: 0)

  private func evidence() -> Evidence {
    var stream = StreamEvidence(author: author, topic: "a", mayEvict: false, retains: false)
    stream.add(Record(kind: .opened, subject: 7, value: author.code, time: 1000))
    for sequence in 1...10 as ClosedRange<UInt64> {
      stream.add(
        Record(
          kind: .publishing, value: sequence, count: 1, size: 20, time: 1000 + sequence * 10, outcome: .done,
          end: 1001 + sequence * 10))
    }
    return Evidence(streams: [stream], subscriptions: [subscription(of: 1...10)])
  }

  /// Process 2 was there before, and has received all of these.
  private func subscription(of sequences: ClosedRange<UInt64>) -> SubscriptionEvidence {
    var subscription = SubscriptionEvidence(
      worker: 2, subscriber: 0, life: 0, pattern: "*", mayLag: false, receivesRetained: true)
    subscription.add(Record(kind: .subscribing, time: 900))
    subscription.add(Record(kind: .subscribed, subject: 3, time: 950))
    for sequence in sequences {
      subscription.add(Record(kind: .received, subject: 7, value: sequence, size: 20, author: author.code))
    }
    subscription.add(Record(kind: .closed))
    return subscription
  }

  private func rules(_ evidence: Evidence) -> [Violation.Rule] { Checker.violations(in: evidence).map(\.rule) }
}
