import Foundation
import Synchronization
import Testing

@testable import Platform

@Suite struct BiasedMutexTests {
  private static let isOwned = Int(MutexBias.worthwhile)

  @Test(arguments: [1, 2, 4])
  func oneIsInsideAtATime(threads: Int) async throws {
    let count = Shared(Counter())
    // In each of the turns another thread enters again and again, and becomes the owner; the others come in its way.
    let (turns, often, seldom) = (16 * threads, 20_000, 20)
    try await run(threads) { thread in
      for turn in 0..<turns {
        if turn % threads == thread {
          for _ in 0..<often { count.mutex.withLock { $0.add() } }
        } else {
          for _ in 0..<seldom {
            for _ in 0..<4_000 { spinHint() }
            count.mutex.withLock { $0.add(slowly: true) }
          }
        }
      }
    }
    #expect(count.mutex.withLock { $0.value } == turns * (often + (threads - 1) * seldom))
    #expect(count.mutex.withLock { $0.isTorn } == false)
  }

  @Test func aRivalWaitsForTheOwner() async throws {
    let steps = Shared([String]())
    let (isInside, mayLeave) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let (rivalCame, rivalLeft) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    try startThread(named: "owner") {
      for _ in 0..<Self.isOwned { steps.mutex.withLock { _ in } }
      steps.mutex.withLock { steps in
        isInside.signal()
        mayLeave.wait()
        steps.append("owner")
      }
    }
    await wait(for: isInside)
    try startThread(named: "rival") {
      rivalCame.signal()
      steps.mutex.withLock { $0.append("rival") }
      rivalLeft.signal()
    }
    await wait(for: rivalCame)
    #expect(rivalLeft.wait(timeout: .now() + .milliseconds(50)) == .timedOut)
    mayLeave.signal()
    await wait(for: rivalLeft)
    #expect(steps.mutex.withLock { $0 } == ["owner", "rival"])
  }

  @Test func theOwnerWaitsForARival() async throws {
    let steps = Shared([String]())
    let (isInside, mayLeave) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let (ownerCame, mayEnter, ownerLeft) = (
      DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    try startThread(named: "owner") {
      for _ in 0..<Self.isOwned * 2 { steps.mutex.withLock { _ in } }
      ownerCame.signal()
      mayEnter.wait()
      steps.mutex.withLock { $0.append("owner") }
      ownerLeft.signal()
    }
    await wait(for: ownerCame)
    try startThread(named: "rival") {
      steps.mutex.withLock { steps in
        isInside.signal()
        mayLeave.wait()
        steps.append("rival")
      }
    }
    await wait(for: isInside)
    mayEnter.signal()
    #expect(ownerLeft.wait(timeout: .now() + .milliseconds(50)) == .timedOut)
    mayLeave.signal()
    await wait(for: ownerLeft)
    #expect(steps.mutex.withLock { $0 } == ["rival", "owner"])
  }

  @Test func whoThrowsLeaves() async throws {
    struct Refusal: Error {}
    let value = Shared(0)
    // As a rival, and then as the owner.
    for index in 0..<Self.isOwned * 2 {
      #expect(throws: Refusal.self) {
        try value.mutex.withLock { (value) throws(Refusal) in
          value += 1
          throw Refusal()
        }
      }
      #expect(value.mutex.withLock { $0 } == index + 1)
    }
    try await run(1) { _ in value.mutex.withLock { $0 = 0 } }
    #expect(value.mutex.withLock { $0 } == 0)
  }

  @Test func letsGoOfItsValue() {
    final class Token: Sendable {}
    weak var kept: Token?
    do {
      let token = Token()
      kept = token
      let shared = Shared(token)
      #expect(shared.mutex.withLock { $0 } === kept)
    }
    #expect(kept == nil)
  }

  /// Runs threads to their ends.
  private func run(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) async throws {
    let ended = DispatchSemaphore(value: 0)
    for thread in 0..<threads {
      try startThread(named: "test-\(thread)") {
        body(thread)
        ended.signal()
      }
    }
    for _ in 0..<threads { await wait(for: ended) }
  }

  /// Not in a thread of the tasks'.
  private func wait(for semaphore: DispatchSemaphore) async {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        semaphore.wait()
        continuation.resume()
      }
    }
  }

  private final class Shared<Value: Sendable>: Sendable {
    let mutex: BiasedMutex<Value>

    init(_ value: Value) { mutex = BiasedMutex(value) }
  }

  private struct Counter: Sendable {
    var value = 0
    private var mirror = 0
    var isTorn = false

    /// In two steps, of which another must not see one.
    mutating func add(slowly: Bool = false) {
      if mirror != value { isTorn = true }
      value += 1
      if slowly { for _ in 0..<50 { spinHint() } }
      mirror = value
    }
  }
}

@Suite struct MutexBiasTests {
  private let worthwhile = MutexBias.worthwhile

  @Test func whoEntersAgainAndAgainBecomesTheOwner() {
    var bias = MutexBias(mayBeOwned: true)
    for _ in 1..<worthwhile { #expect(bias.owner(after: 1, owner: nil, entries: 0) == nil) }
    #expect(bias.owner(after: 1, owner: nil, entries: 0) == 1)
    #expect(bias.owner(after: 1, owner: 1, entries: 3) == 1)
  }

  @Test func whoTakesTurnsWithAnotherDoesNot() {
    var bias = MutexBias(mayBeOwned: true)
    for _ in 0..<worthwhile {
      #expect(bias.owner(after: 1, owner: nil, entries: 0) == nil)
      #expect(bias.owner(after: 2, owner: nil, entries: 0) == nil)
    }
  }

  @Test func theOwnerStaysIfOthersComeSeldom() {
    var bias = MutexBias(mayBeOwned: true)
    #expect(bias.owner(after: 2, owner: 1, entries: worthwhile) == 1)
    #expect(bias.owner(after: 2, owner: 1, entries: worthwhile - 1) == nil)
    // And becomes it again as it did the first time.
    for _ in 1..<worthwhile { #expect(bias.owner(after: 1, owner: nil, entries: 0) == nil) }
    #expect(bias.owner(after: 1, owner: nil, entries: 0) == 1)
  }

  @Test func nobodyIsWhereTheKernelHasNoFences() {
    var bias = MutexBias(mayBeOwned: false)
    for _ in 0..<2 * worthwhile { #expect(bias.owner(after: 1, owner: nil, entries: 0) == nil) }
  }
}
