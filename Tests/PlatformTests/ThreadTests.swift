import Glibc
import Platform
import Testing

@Suite struct ThreadTests {
  @Test(arguments: [("bus-loop", "bus-loop"), ("a-name-longer-than-kept", "a-name-longer-t"), ("", "")])
  func runsUnderItsName(name: String, kept: String) async throws {
    let (thread, shown) = await withCheckedContinuation { continuation in
      do {
        try startThread(named: name) { continuation.resume(returning: (gettid(), currentName())) }
      } catch {
        Issue.record(error)
        continuation.resume(returning: (0, ""))
      }
    }
    #expect(thread != 0 && thread != getpid())
    #expect(shown == kept)
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

private func currentName() -> String {
  var name = [CChar](repeating: 0, count: 16)
  // SAFETY: the length goes with the buffer.
  unsafe pthread_getname_np(pthread_self(), &name, name.count)
  return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
