import Glibc
import Platform
import Synchronization
import Testing

/// Signals that a program handles end what waits in the kernel: that must not be taken for an answer.
@Suite struct SignalTests {
  private final class Ends: Sendable {
    let pair: PacketSocket.Pair
    init() throws(Errno) { pair = try PacketSocket.Pair() }
  }

  /// The end of a process makes its descriptor readable, as a packet makes this one's.
  @Test func aProcessIsWaitedForAsLongAsItWasSaid() throws {
    let ends = try Ends()
    let process = try OwnedDescriptor.duplicating(ends.pair.first.raw)
    let hasEnded = try interrupted(each: { if $0 == 1_000 { _ = try? ends.pair.second.send([1]) } }) {
      process.hasProcessEnded(withinMilliseconds: 60_000)
    }
    #expect(hasEnded)
  }

  @Test func whoIsThereHasNotHungUpAndWhoIsNotHas() throws {
    let ends = try Ends()
    func answers() throws -> Set<Bool> {
      try interrupted { Set((0..<200_000).map { _ in ends.pair.first.isHungUp }) }
    }
    #expect(try answers() == [false])
    ends.pair.second.shutDown()
    #expect(try answers() == [true])
  }

  private final class Meeting<Value: Sendable>: Sendable {
    let thread = Mutex<pthread_t?>(nil)
    let value = Mutex<Value?>(nil)
    let isOver = Atomic(false)
  }

  /// Runs the body on a thread that is sent signals all the while.
  ///
  /// - Parameter each: called with the number of each signal, before it is sent.
  private func interrupted<Value: Sendable>(
    each: (Int) -> Void = { _ in }, _ body: @escaping @Sendable () -> Value
  ) throws -> Value {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in }
    // SAFETY: the structure outlives the call.
    let isHandled = unsafe sigaction(SIGUSR2, &action, nil) == 0
    try #require(isHandled)
    let meeting = Meeting<Value>()
    try startThread(named: "interrupted") {
      // Threads of the pool that tests run on have signals blocked, and those that they start, too.
      var signals = sigset_t()
      // SAFETY: the structure outlives the calls.
      unsafe sigemptyset(&signals)
      unsafe sigaddset(&signals, SIGUSR2)
      unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      meeting.thread.withLock { $0 = pthread_self() }
      let value = body()
      meeting.value.withLock { $0 = value }
      // No signal may be sent to a thread that has ended.
      while !meeting.isOver.load(ordering: .acquiring) { sched_yield() }
    }
    defer { meeting.isOver.store(true, ordering: .releasing) }
    var count = 0
    while true {
      if let value = meeting.value.withLock({ $0 }) { return value }
      if let thread = meeting.thread.withLock({ $0 }) {
        count += 1
        each(count)
        pthread_kill(thread, SIGUSR2)
      }
      sched_yield()
    }
  }
}
