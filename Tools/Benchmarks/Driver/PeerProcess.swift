import Foundation

/// A process of a system: told what to do on its standard input, heard on its standard output (Peers/CONTRACT.md).
final class PeerProcess {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private let ended = DispatchGroup()
  private var heard = Data()
  /// Milliseconds after which a process that says nothing is given up.
  private static let patience: Int32 = 20_000
  let name: String

  /// Makes it an error to tell a process something that has ended, which would else end this one by SIGPIPE.
  static func outliveAll() {
    // Not SIG_IGN: peers would inherit that, while a handler ends with this program.
    signal(SIGPIPE) { _ in }
  }

  init(
    _ system: System, _ role: String, _ configuration: Configuration, index: Int = 0, place: String, programs: String
  ) throws {
    name = "\(system.name) \(role) \(index)"
    process.executableURL = URL(fileURLWithPath: "\(programs)/\(system.program)")
    var words = [role]
    words += ["--size", "\(configuration.size)", "--touch", configuration.isTouched ? "1" : "0"]
    words += ["--mode", configuration.mode.rawValue, "--place", place]
    words += ["--publishers", "\(configuration.publishers)", "--subscribers", "\(configuration.subscribers)"]
    words += ["--index", "\(index)", "--topics", "\(configuration.topics)"]
    if let pool = configuration.pool { words += ["--pool", "\(pool)"] }
    if let pause = configuration.pause { words += ["--pause", "\(pause)"] }
    if let rate = configuration.rate { words += ["--rate", "\(rate)"] }
    process.arguments = words
    process.standardInput = input
    process.standardOutput = output
    if ProcessInfo.processInfo.environment["POOLBUS_BENCH_VERBOSE"] == nil {
      process.standardError = FileHandle.nullDevice
    }
    // Not waitUntilExit, which in a task's thread may wait for ever.
    process.terminationHandler = { [ended] _ in ended.leave() }
    ended.enter()
    do {
      try process.run()
    } catch {
      ended.leave()
      throw error
    }
  }

  /// The pipes' ends are given back here: `Process` stays, and keeps them.
  deinit {
    try? input.fileHandleForWriting.close()
    try? output.fileHandleForReading.close()
  }

  var processID: Int32 { process.processIdentifier }

  func tell(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

  /// Its next line, which must begin so; returns what follows, as `key=value` pairs.
  @discardableResult
  func expect(_ word: String) throws -> [String: String] {
    while true {
      guard let line = try nextLine() else {
        // Its output ends before its input does: told something now, it would be as if it heard.
        kill()
        throw Failure("\(name) ended before it said '\(word)'")
      }
      let words = line.split(separator: " ")
      if words.first == "error" { throw Failure("\(name): \(line)") }
      guard words.first == Substring(word) else { continue }
      let pairs = words.dropFirst().map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
      return Dictionary(uniqueKeysWithValues: pairs.filter { $0.count == 2 }.map { ($0[0], $0[1]) })
    }
  }

  private func nextLine() throws -> String? {
    while true {
      if let end = heard.firstIndex(of: UInt8(ascii: "\n")) {
        defer { heard.removeSubrange(...end) }
        return String(decoding: heard[..<end], as: UTF8.self)
      }
      var waiting = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, Self.patience) > 0 else {
        throw Failure("\(name) has said nothing for \(Self.patience / 1000) s")
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      heard += more
    }
  }

  /// Ends it in good order: a server by SIGTERM, the others by the end of their input.
  func end(isServer: Bool = false) {
    try? input.fileHandleForWriting.close()
    if isServer { process.terminate() }
    if ended.wait(timeout: .now() + 5) == .timedOut { kill() }
  }

  func kill() {
    if process.isRunning { Foundation.kill(processID, SIGKILL) }
    _ = ended.wait(timeout: .now() + 5)
  }

  /// Nanoseconds of CPU that it has used so far, all threads. Servers have no children: those that are programs of their
  /// own take the peer's place (`exec`).
  var cpu: Double {
    var clock = clockid_t()
    var time = timespec()
    guard clock_getcpuclockid(processID, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
  }

  /// Bytes of memory that are its own, of no file and no shared memory.
  var ownMemory: Double {
    guard let text = try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) })
    else { return 0 }
    return kibibytes * 1024
  }
}
