import CPeer
import Glibc
import Platform
import Synchronization

/// A process that a test starts: told what to do on its standard input, heard on its standard output, line by line.
///
/// Every wait ends with the process, or when the test's time limit cancels it.
package final class PeerProcess: Sendable {
  package enum Exit: Equatable, Sendable {
    case code(Int32)
    case signal(Int32)
  }

  package let processID: pid_t
  private let name: String
  private let input: Mutex<OwnedDescriptor?>
  private let (lines, heard) = AsyncStream.makeStream(of: String.self)
  private let state = Mutex(State())

  private struct State {
    var exit: Exit?
    /// What it said last, for the message of a test that fails.
    var recent: [String] = []
  }

  /// Starts a program with its arguments.
  ///
  /// - Parameter errors: what becomes its standard error; nil for this process's own.
  package init(_ words: [String], errors: CInt? = nil) throws {
    name = words.prefix(3).joined(separator: " ")
    var (input, output): (CInt, CInt) = (-1, -1)
    // SAFETY: the strings are copied for this call, which uses them until it returns, and freed after it.
    let copies = unsafe words.map { unsafe strdup($0) }
    defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
    processID = unsafe poolbus_peer_spawn(copies + [nil], &input, &output, errors ?? -1)
    guard processID > 0 else { throw Errno(rawValue: errno) }
    self.input = Mutex(OwnedDescriptor(adopting: input))
    try startThread(named: "peer") { [self, output] in hear(OwnedDescriptor(adopting: output)) }
  }

  // MARK: - Talking

  /// Says a line to it. What a process that has ended is told is lost.
  package func tell(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    input.withLock { input in
      guard let descriptor = input?.raw else { return }
      // SAFETY: the bytes outlive the call.
      _ = unsafe write(descriptor, bytes, bytes.count)
    }
  }

  /// Waits for its next line with the first of these words; the line must begin with all of them.
  ///
  /// - Returns: the line's further words.
  @discardableResult
  package func line(_ beginning: String) async throws -> [String] {
    let wanted = beginning.split(separator: " ")
    while true {
      let line = try await nextLine()
      let words = line.split(separator: " ")
      if words.starts(with: wanted) { return words.dropFirst(wanted.count).map(String.init) }
      if words.first == wanted.first || words.first == "error" {
        throw PeerFailure(who: description, what: "said '\(line)', not '\(beginning)'")
      }
    }
  }

  /// Waits for a line that contains the text.
  package func line(containing text: String) async throws {
    while try await !nextLine().contains(text) {}
  }

  /// Says a line to it, and waits for the answer that begins so.
  @discardableResult
  package func ask(_ order: String, _ answer: String) async throws -> [String] {
    tell(order)
    return try await line(answer)
  }

  /// Whether a line with this first word is among the last ones that it said, heard by ``line(_:)`` or not.
  package func hasSaid(_ word: String) -> Bool {
    state.withLock { $0.recent.contains { $0.hasPrefix("\(word) ") } }
  }

  private func nextLine() async throws -> String {
    for await line in lines { return line }
    try Task.checkCancellation()
    throw PeerFailure(
      who: description, what: "ended (\(state.withLock { "\($0.exit as Any)), having said: \($0.recent)" })")
  }

  // MARK: - Ending

  package func signal(_ number: CInt) {
    // Under the lock nobody reaps it, so that the number is still its own.
    state.withLock { if $0.exit == nil { Glibc.kill(processID, number) } }
  }

  /// Waits for its end; skips what it still says.
  package func exit() async throws -> Exit {
    for await _ in lines {}
    try Task.checkCancellation()
    guard let exit = state.withLock({ $0.exit }) else { throw PeerFailure(who: description, what: "was not reaped") }
    return exit
  }

  /// Lets it end in good order, and waits for that.
  package func end() async throws -> Exit {
    input.withLock { $0 = nil }
    return try await exit()
  }

  package func kill() async throws {
    signal(SIGKILL)
    _ = try await exit()
  }

  package var hasEnded: Bool { state.withLock { $0.exit != nil } }

  // MARK: - On its thread

  private func hear(_ output: consuming OwnedDescriptor) {
    var pending: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      // SAFETY: the buffer outlives the call.
      let count = unsafe read(output.raw, &buffer, buffer.count)
      guard count > 0 else { break }
      pending += buffer[..<count]
      while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeSubrange(...end)
        state.withLock { $0.recent = $0.recent.suffix(9) + [line] }
        heard.yield(line)
      }
    }
    // Reaped under the lock, so that its number is not another's while somebody signals it.
    poolbus_peer_await_end(processID)
    state.withLock { state in
      var status: Int32 = 0
      // SAFETY: the status outlives the call.
      unsafe waitpid(processID, &status, 0)
      state.exit = status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
    }
    heard.finish()
  }
}

extension PeerProcess: CustomStringConvertible {
  package var description: String { "\(name) (\(processID))" }
}

package struct PeerFailure: Error, CustomStringConvertible {
  package let who: String
  package let what: String
  package var description: String { "\(who) \(what)" }
}
