import Testing

@testable import poolbus_faults

@Suite struct PlannerTests {
  @Test("An episode follows from its seed alone", arguments: [false, true])
  func repeatable(nodeFaults: Bool) {
    for seed in 0..<100 as Range<UInt64> {
      #expect(
        Planner.episode(seed: seed, includesNodeFaults: nodeFaults)
          == Planner.episode(seed: seed, includesNodeFaults: nodeFaults))
    }
    let episodes = (0..<100).map { Planner.episode(seed: $0, includesNodeFaults: nodeFaults) }
    #expect(Set(episodes.map { "\($0.workers) \($0.faults)" }).count == 100)
  }

  @Test("Whom an episode names is in it, and every message fits its pool many times")
  func sensible() {
    for seed in 0..<1000 as Range<UInt64> {
      let episode = Planner.episode(seed: seed, includesNodeFaults: seed % 2 == 0)
      #expect(episode.workers.map(\.number) == Array(1...episode.workers.count))
      #expect(
        episode.workers.contains { !$0.publishers.isEmpty } && episode.workers.contains { !$0.subscribers.isEmpty })
      for fault in episode.faults {
        if case .worker(let number) = fault.target {
          #expect(episode[worker: number] != nil && number > Planner.bystanders)
        }
        if case .records(_, let number) = fault.moment { #expect(episode[worker: number] != nil) }
        if case .restart = fault.fault { #expect(fault.target == .node) }
        // A node that has no addresses left has no heap left either, and no program can go on without.
        if fault.target == .node { #expect(!fault.fault.isRuinous && fault.fault != .kill) }
      }
      for publisher in episode.workers.flatMap(\.publishers) {
        #expect(publisher.smallest <= publisher.largest && publisher.largest <= Int(episode.contribution) / 16)
      }
    }
  }

  @Test("Every kind of fault, of policy and of style comes up, and nodes are killed only if that is asked for")
  func complete() {
    let episodes = (0..<300).map { Planner.episode(seed: $0, includesNodeFaults: false) }
    let faults = Set(episodes.flatMap(\.faults).map { "\($0.target == .node) \($0.fault.name)" })
    #expect(
      faults == [
        "false kill -9", "false SIGSTOP, SIGCONT", "false descriptors exhausted", "false descriptors closed",
        "false addresses exhausted", "true SIGSTOP, SIGCONT", "true descriptors exhausted", "true memory exhausted",
      ])
    let publishers = episodes.flatMap(\.workers).flatMap(\.publishers)
    #expect(PublisherPlan.Policy.allCases.allSatisfy { policy in publishers.contains { $0.policy == policy } })
    #expect(Set(publishers.map { "\($0.style)".prefix(5) }).count == 3)
    #expect(publishers.contains { $0.retention != nil } && publishers.contains { $0.largest == 4 << 20 })
    let subscribers = episodes.flatMap(\.workers).flatMap(\.subscribers)
    #expect(SubscriberPlan.Waiting.allCases.allSatisfy { waiting in subscribers.contains { $0.waiting == waiting } })
    #expect(subscribers.contains { $0.holdEvery == 1 } && subscribers.contains { $0.backlogMessages != nil })

    let withRestarts = (0..<10).map { Planner.episode(seed: $0, includesNodeFaults: true) }
    #expect(
      withRestarts.allSatisfy { $0.faults.contains { if case .restart = $0.fault { true } else { false } } })
  }
}
