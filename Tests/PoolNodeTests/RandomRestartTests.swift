import BusProtocol
import TestSupport
import Testing
import Vocabulary

@testable import PoolNode

/// The node dies at random moments, and nothing is lost.
@Suite struct RandomRestartTests {
  /// - Parameter loses: the dying node takes messages with it. Then there may be lags, but nothing hangs or leaks.
  @Test(arguments: 1...3, [false, true])
  func nothingIsLostWhateverTheOrder(run: Int, loses: Bool) throws {
    let seed = UInt64.random(in: 0 ... .max)
    var life = RandomRestarts(seed: seed, loses: loses)
    for step in 1...4000 {
      life.step()
      guard life.world.complaints.isEmpty else {
        Issue.record("seed \(seed), step \(step): \(life.world.complaints)")
        return
      }
    }
    life.bringAllBack()
    #expect(life.world.isEverythingRead, "seed \(seed): \(life.world.unread)")
    #expect(life.world.lagged == 0 || loses, "seed \(seed)")
    life.world.end()
    #expect(life.world.complaints == [], "seed \(seed)")
    #expect(life.world.isFree, "seed \(seed): \(life.world.leftovers)")
  }
}

/// Clients that come, go, publish and read, and a node that dies now and then: at random.
private struct RandomRestarts {
  var world = RestartWorld(contribution: 512 << 10)
  private var random: SplitMix64
  /// Whether messages of a dying node are lost.
  private let loses: Bool

  init(seed: UInt64, loses: Bool) {
    random = SplitMix64(seed: seed)
    self.loses = loses
  }

  mutating func step() {
    world.now += UInt64.random(in: 0...100_000, using: &random)
    let names = world.clients.keys.sorted()
    let topics = ["a", "b", "c"]
    guard let name = names.randomElement(using: &random), names.count >= 3 else {
      _ = world.join()
      return
    }
    let client = world.clients[name]
    switch Int.random(in: 0..<200, using: &random) {
    case 0: if names.count < 8, Bool.random(using: &random) { _ = world.join() }
    case 1: if names.count > 4, Int.random(in: 0..<4, using: &random) == 0 { world.kill(name) }
    case 2:
      if client?.publishers.count ?? 0 < 2, client?.id != nil {
        world.ask(name, .publisher(try! TopicName(topics.randomElement(using: &random)!)))
      }
    case 3:
      if client?.readers.count ?? 0 < 2, client?.id != nil {
        world.ask(name, .subscription(try! TopicPattern(["a", "b", "*", "**"].randomElement(using: &random)!)))
      }
    case 4:
      guard Int.random(in: 0..<3, using: &random) == 0 else { break }
      guard loses else {
        world.restart()
        break
      }
      // What the old node had not handed to the kernel yet reaches nobody.
      let salt = random.next()
      world.restart { $0 == 0 ? 0 : Int(salt % UInt64($0 + 1)) }
    case 5..<10: world.rejoin(name)
    case 10..<20: world.finishCreation()
    case 20..<70: for _ in 0..<3 { world.hear(name) }
    case 70..<120:
      if let stream = client?.publishers.keys.sorted().randomElement(using: &random) { world.publish(name, stream) }
    case 120..<190:
      if let id = client?.readers.keys.sorted().randomElement(using: &random),
        let stream = client?.readers[id]?.cursors.keys.sorted().randomElement(using: &random)
      {
        world.read(name, id, stream, borrows: Int.random(in: 0..<4, using: &random) == 0)
      }
    case 190..<198:
      if let id = client?.readers.keys.sorted().randomElement(using: &random) { world.dropBorrowed(name, id) }
    default:
      for name in names where Int.random(in: 0..<3, using: &random) == 0 { world.rejoin(name) }
      world.advance(by: 1000)
    }
  }

  mutating func bringAllBack() {
    for name in world.clients.keys.sorted() { world.rejoin(name) }
    world.readAll()
    world.advance(by: 6_000_000_000)
    world.readAll()
  }
}
