import Foundation
import Glibc
import Platform
import Testing

@Suite struct ThreadTests {
  @Test(arguments: [("bus-loop", "bus-loop"), ("a-name-longer-than-kept", "a-name-longer-t"), ("", "")])
  func runsUnderItsName(name: String, kept: String) async throws {
    let (isAnother, shown) = try await withCheckedThrowingContinuation { continuation in
      // Compared as long as both are there: a thread that ends leaves its number to others.
      let starter = pthread_self()
      do {
        try startThread(named: name) { continuation.resume(returning: (pthread_self() != starter, shownName())) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
    #expect(isAnother)
    #expect(shown == kept + "\n")
  }

  @Test func letsGoOfItsBodyAtItsEnd() async throws {
    await withCheckedContinuation { continuation in
      let last = Last { continuation.resume() }
      do {
        try startThread(named: "short") { withExtendedLifetime(last) {} }
      } catch {
        Issue.record(error)
      }
    }
  }
}

@Suite struct ClockTests {
  @Test func monotonicClockIsNeverSetBack() {
    let readings = (0..<1000).map { _ in Clock.monotonicNanoseconds }
    #expect(readings == readings.sorted())
  }

  @Test func realtimeClockAgreesWithTheLibrarys() {
    let before = UInt64(time(nil))
    let seconds = Clock.realtimeNanoseconds / 1_000_000_000
    // time() shows the last tick, which may lie behind.
    #expect(seconds >= before)
    #expect(UInt64(time(nil)) + 1 >= seconds)
  }
}

/// Tells of its end.
private final class Last: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  deinit { body() }
}

private func shownName() -> String {
  (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? "unreadable"
}
