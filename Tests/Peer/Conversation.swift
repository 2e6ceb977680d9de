import Glibc
import Platform
import Synchronization

/// Tells the test what happened: one line, written whole.
func say(_ words: any Sendable...) {
  let text = words.map { "\($0)" }.joined(separator: " ").split(separator: "\n").joined(separator: " ")
  var line = Array("\(text)\n".utf8)[...]
  while !line.isEmpty {
    // SAFETY: the bytes outlive the call.
    let written = unsafe line.withUnsafeBytes { unsafe write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    // Nobody listens any more.
    guard written > 0 else { return }
    line = line.dropFirst(written)
  }
}

/// A line of the test's: its first word says what to do, the others to what.
struct Order: Sendable {
  let text: String
  var verb: Substring { words.first ?? "" }
  private var words: [Substring] { text.split(separator: " ") }

  /// The number behind the verb.
  func number<Number: FixedWidthInteger>() throws -> Number {
    guard let number = words.dropFirst().first.flatMap({ Number($0) }) else {
      throw Misunderstanding(order: self)
    }
    return number
  }
}

/// An order that is none.
struct Misunderstanding: Error, CustomStringConvertible {
  let order: Order
  var description: String { "'\(order.text)' is no order that this peer knows" }
}

/// What the test orders, in order.
final class Orders: Sendable {
  private let pending = Mutex<[Order]>([])
  private let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)

  /// A peer that has lost its test ends itself after so many seconds, whatever it waits for.
  private static let secondsToLeave: UInt32 = 10

  init() throws {
    try startThread(named: "orders") { [self] in
      while let line = readLine() { add(line) }
      alarm(Self.secondsToLeave)
      add("exit")
    }
  }

  private func add(_ line: String) {
    pending.withLock { $0.append(Order(text: line)) }
    arrived.yield()
  }

  /// Whether one waits.
  var isEmpty: Bool { pending.withLock { $0.isEmpty } }

  /// The next order; waits for it. Nil when the peer shall end.
  func next() async -> Order? {
    for await _ in arrivals {
      let order = pending.withLock { $0.removeFirst() }
      return order.verb == "exit" ? nil : order
    }
    return nil
  }
}
