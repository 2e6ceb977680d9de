import Glibc
import ToolSupport

/// Shows how far a long transfer is, on standard error while that is a terminal.
struct Progress {
  private let total: UInt64?
  private let isVisible: Bool
  private let start = ContinuousClock.now
  private var nextDraw: ContinuousClock.Instant
  private var done: UInt64 = 0
  private var isDrawn = false

  /// - Parameter total: bytes to come, if that is known.
  init(total: UInt64?) {
    self.total = total
    isVisible = isatty(STDERR_FILENO) == 1
    nextDraw = start + .milliseconds(500)
  }

  /// How much to read or write at once: enough for full speed, little enough to show that it goes on.
  static let step = 8 << 20

  /// Counts bytes that have been moved.
  mutating func advance(by byteCount: Int) {
    done &+= UInt64(clamping: byteCount)
    guard isVisible else { return }
    let now = ContinuousClock.now
    guard now >= nextDraw else { return }
    nextDraw = now + .milliseconds(100)
    draw(elapsed: start.duration(to: now))
  }

  /// Takes the bar away, so that something can be printed, or the transfer is over.
  mutating func clear() {
    guard isDrawn else { return }
    isDrawn = false
    Console.show("\r\u{1B}[K")
  }

  private mutating func draw(elapsed: Duration) {
    isDrawn = true
    let rate = ByteSize(UInt64(Double(done) / max(elapsed / .seconds(1), 0.001)))
    guard let total, total > 0 else { return Console.show("\r\u{1B}[K\(ByteSize(done))  \(rate)/s") }
    let share = min(Double(done) / Double(total), 1)
    let width = 30
    let filled = Int(share * Double(width))
    let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
    Console.show("\r\u{1B}[K[\(bar)] \(Int(share * 100)) %  \(ByteSize(done)) of \(ByteSize(total))  \(rate)/s")
  }
}
