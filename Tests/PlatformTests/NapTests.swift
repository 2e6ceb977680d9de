import Foundation
import Platform
import Testing

@Suite("A nap")
struct NapTests {
  @Test("It lasts as long as was asked for, and leaves the thread's timers as they were")
  func lasts() throws {
    // Not suspended between the two: both are this thread's.
    let slack = try timerSlack()
    let start = Clock.monotonicNanoseconds
    nap(nanoseconds: 100_000)
    #expect(Clock.monotonicNanoseconds - start >= 100_000)
    #expect(try timerSlack() == slack)
    #expect(slack != "1")
  }

  private func timerSlack() throws -> String {
    // As "1234/task/1235"; only the process's own folder has the file, and so has one for the thread, that is not listed.
    let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
    let thread = link.split(separator: "/").last ?? ""
    let text = try String(contentsOfFile: "/proc/\(thread)/timerslack_ns", encoding: .utf8)
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
