import TestSupport

/// Makes an episode of a seed.
struct Planner {
  private var random: SplitMix64
  private let seed: UInt64
  private let includesNodeFaults: Bool
  private var contribution: UInt64 = 0

  /// How long faults are injected for.
  static let microseconds = 2_500_000

  /// Processes that nothing is done to: the first so many.
  static let bystanders = 2

  private static let topics = ["a/x", "a/y", "b/x", "b/y/z", "c"]
  private static let patterns = ["**", "a/*", "b/**", "*/x", "a/x", "b/y/z", "c"]

  static func episode(seed: UInt64, includesNodeFaults: Bool) -> Episode {
    var planner = Planner(seed: seed, includesNodeFaults: includesNodeFaults)
    return planner.makeEpisode()
  }

  private init(seed: UInt64, includesNodeFaults: Bool) {
    self.seed = seed
    self.includesNodeFaults = includesNodeFaults
    random = SplitMix64(seed: seed)
  }

  private mutating func makeEpisode() -> Episode {
    contribution = UInt64(pick([8, 16, 32, 64, 256])) << 20
    let quotas = chance(1, of: 4) ? ["a/*=\(contribution / 2)"] : []
    var episode = Episode(seed: seed, contribution: contribution, quotas: quotas, workers: [], faults: [])

    // Nothing is done to the first two: whatever happens to others, they must go on, and miss nothing.
    add(to: &episode, publishers: 2, subscribers: 0, .microseconds(0))
    add(to: &episode, publishers: 0, subscribers: 1, .microseconds(0))
    episode.workers[1].subscribers[0].pattern = "**"
    for _ in 0..<number(1...3) { add(to: &episode, publishers: number(1...2), subscribers: 0, .microseconds(0)) }
    for _ in 0..<number(1...3) { add(to: &episode, publishers: 0, subscribers: number(1...2), .microseconds(0)) }
    if chance(1, of: 2) { add(to: &episode, publishers: 1, subscribers: 1, .microseconds(0)) }
    // Those who come later, in the middle of all.
    for _ in 0..<number(1...3) {
      let publishes = chance(1, of: 3)
      add(to: &episode, publishers: publishes ? 1 : 0, subscribers: publishes ? 0 : 1, moment(of: episode))
    }

    for _ in 0..<number(8...20) {
      let fault = makeFault(episode)
      episode.faults.append(fault)
      // The dead are replaced, as a supervisor would.
      if fault.fault == .kill, case .worker(let number) = fault.target, let dead = episode[worker: number],
        chance(2, of: 3), case .microseconds(let time) = fault.moment
      {
        add(
          to: &episode, publishers: dead.publishers.count, subscribers: dead.subscribers.count,
          .microseconds(time + self.number(0...200_000)))
      }
    }
    if includesNodeFaults {
      for _ in 0..<number(1...2) {
        episode.faults.append(
          PlannedFault(
            moment: .microseconds(number(300_000...Self.microseconds)), target: .node,
            fault: .restart(milliseconds: number(0...200))))
      }
    }
    return episode
  }

  private mutating func add(to episode: inout Episode, publishers: Int, subscribers: Int, _ start: Moment) {
    var worker = WorkerPlan(number: episode.workers.count + 1, start: start, publishers: [], subscribers: [])
    for _ in 0..<publishers { worker.publishers.append(makePublisher()) }
    for _ in 0..<subscribers { worker.subscribers.append(makeSubscriber()) }
    episode.workers.append(worker)
  }

  private mutating func makePublisher() -> PublisherPlan {
    // Several must fit the pool, and the quota, at once.
    let most = min(4 << 20, Int(contribution) / 16)
    let largest = pick([8, 300, 5000, 70_000, most / 3, most])
    let style: PublisherPlan.Style =
      switch number(0...3) {
      case 0: .batches(of: number(2...50))
      case 1: .longLoans(number(2...4))
      default: .single
      }
    // Of batches, all must fit one segment.
    let size: Int
    if case .batches(let count) = style { size = min(largest, most / count) } else { size = largest }
    return PublisherPlan(
      topic: pick(Self.topics), policy: pick([.wait, .wait, .wait, .waitShortly, .fail, .evictOldest]),
      retention: chance(1, of: 6) ? UInt64(pick([1, 10, 100])) : nil, style: style,
      smallest: min(pick([0, 0, 1, 64]), size), largest: size, largeEvery: pick([1, 2, 10, 100]),
      burst: pick([1, 10, 100, 1000]), rest: pick([100, 1000, 5000, 20_000]))
  }

  private mutating func makeSubscriber() -> SubscriberPlan {
    let waiting: SubscriberPlan.Waiting = pick([.block, .block, .block, .adaptive, .adaptive, .spin])
    return SubscriberPlan(
      pattern: pick(Self.patterns), backlogMessages: chance(1, of: 4) ? UInt64(pick([1, 10, 1000])) : nil,
      receivesRetained: chance(2, of: 3), waiting: waiting,
      style: chance(1, of: 3) ? .batches(limit: pick([2, 16, .max])) : .single, holdEvery: pick([0, 0, 1, 7, 100]),
      holdMilliseconds: number(1...150), rest: pick([0, 0, 0, 10, 1000]),
      onBusExecutor: waiting != .spin && chance(1, of: 4))
  }

  private mutating func makeFault(_ episode: Episode) -> PlannedFault {
    let worker = Target.worker(number(Self.bystanders + 1...episode.workers.count))
    var target = worker
    let fault: Fault
    switch number(0...19) {
    case 0...6: fault = .kill
    case 7...10: fault = .pause(milliseconds: number(1...400))
    case 11, 12: fault = .exhaustDescriptors(spare: number(0...6), milliseconds: number(50...500))
    case 13, 14: fault = .closeDescriptors(number(1...3))
    case 15: fault = .exhaustAddresses(spare: number(0...32) << 20)
    case 16:
      target = .node
      fault = .pause(milliseconds: number(1...300))
    case 17, 18:
      target = .node
      fault = .exhaustDescriptors(spare: number(0...12), milliseconds: number(50...400))
    default:
      target = .node
      fault = .exhaustMemory(largest: pick([0, 64 << 10, 512 << 10]), milliseconds: number(50...400))
    }
    return PlannedFault(moment: moment(of: episode), target: target, fault: fault)
  }

  private mutating func moment(of episode: Episode) -> Moment {
    if chance(1, of: 3) {
      return .records(number(1...1500), of: number(1...episode.workers.count))
    }
    return .microseconds(number(50_000...Self.microseconds))
  }

  private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
  private mutating func chance(_ times: Int, of all: Int) -> Bool { number(1...all) <= times }
  private mutating func pick<Value>(_ values: [Value]) -> Value { values[number(0...values.count - 1)] }
}
