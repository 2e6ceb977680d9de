/// What is measured, and what of it in turn.
struct Plan {
  let sizes: [Int]

  static let sizes = [64, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20]
  /// The bars of its throughput are near what memory can do, and one start of two processes may be a quarter faster than the
  /// next, whichever system's they are: it has three.
  static let sizeNearBars = 1 << 20
  static let topics = [1, 10, 100, 1_000]
  static let subscribers = [1, 2, 4, 8, 16, 32, 64]
  static let largest = 256 << 20
  /// Microseconds after which all who wait have gone to sleep.
  static let pause = 500
  static let pools = [64 << 20, 256 << 20, 1 << 30, 4 << 30, 8 << 30]
  /// Flows that are held to a rate, so that the node's CPU can be told for it: one to one, and 8 publishers to one.
  static let steadyFlows = [
    Configuration(size: 64, mode: .adaptive, rate: 1_000_000),
    Configuration(size: 4 << 10, mode: .block, publishers: 8, rate: 50_000),
  ]

  /// The same pool for any number of topics.
  static func growth(topics: Int) -> Configuration {
    Configuration(size: 64, mode: .adaptive, topics: topics, pool: 256 << 20)
  }

  init(sizes: [Int] = []) { self.sizes = sizes.isEmpty ? Self.sizes : sizes }

  /// In the order in which it is done; what is in one list is measured in turn.
  func configurations(of work: Work) -> [[Configuration]] {
    switch work {
    case .latency:
      return touched(sizes) + untouched
    case .throughput:
      // Between the three starts of what a bar is near lies other work, as a host is what it is for a while.
      let again = touched(sizes.filter { $0 == Self.sizeNearBars })
      return touched(sizes) + again + untouched + again
    case .wake:
      return [[System.Mode.block, .adaptive].map { Configuration(size: 64, mode: $0, pause: Self.pause) }]
    case .fans:
      let modes = [System.Mode.block, .adaptive]
      let out = modes.map { Configuration(size: Self.sizeNearBars, mode: $0, subscribers: 8) }
      let into = modes.map { Configuration(size: 4 << 10, mode: $0, publishers: 8) }
      return [out, into, out, out]
    case .growth:
      // One thing grows at a time; topics also together with subscribers.
      let others =
        Self.subscribers.map { Configuration(size: 4 << 10, mode: .block, subscribers: $0) }
        + [8, 64].flatMap { subscribers in
          Self.topics.dropFirst().map {
            Configuration(size: 4 << 10, mode: .block, subscribers: subscribers, topics: $0)
          }
        }
        + (sizes + [Self.largest]).filter { $0 != 4 << 10 }.map { Configuration(size: $0, mode: .block) }
        + Self.pools.map { Configuration(size: 1 << 20, mode: .block, pool: $0) }
        + Self.steadyFlows
      // A few starts of these, as one start of a process may be faster than the next by more than what topics cost.
      let topics = Self.topics.map(Self.growth)
      return Array(repeating: topics, count: 3) + others.map { [$0] }
    }
  }

  /// Ours are compared with others' in the same mode, and adaptive with whichever is best for those: spin, as a rule. All
  /// modes can't be in turn, as there are systems of which one only can be there.
  private func touched(_ sizes: [Int]) -> [[Configuration]] {
    sizes.flatMap { size in
      [[System.Mode.block], [.adaptive, .spin]].map { modes in modes.map { Configuration(size: size, mode: $0) } }
    }
  }

  /// Untouched payloads are compared with those of other sizes.
  private var untouched: [[Configuration]] {
    System.Mode.allCases.flatMap { mode in
      extremesTogether.map { sizes in sizes.map { Configuration(size: $0, isTouched: false, mode: mode) } }
    }
  }

  /// The first size and the last in one list, each of the others in one of its own.
  private var extremesTogether: [[Int]] {
    guard let first = sizes.first, let last = sizes.last, sizes.count > 1 else { return sizes.map { [$0] } }
    return [[first, last]] + sizes.dropFirst().dropLast().map { [$0] }
  }
}
