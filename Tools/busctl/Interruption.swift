import Dispatch
import Glibc
import Synchronization

/// Ends a command's work in good order when the user interrupts it, or it is told to terminate.
final class Interruption {
  private let sources: [any DispatchSourceSignal]
  private let happened: Happened

  private final class Happened: Sendable {
    let flag = Atomic(false)
  }

  /// - Parameter end: ends the work; called on a thread of its own, at the first SIGINT or SIGTERM. The second one ends
  ///   the process at once.
  init(end: @escaping @Sendable () -> Void) {
    let happened = Happened()
    self.happened = happened
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        happened.flag.store(true, ordering: .relaxed)
        Self.restoreSignals()
        end()
      }
      source.activate()
      return source
    }
  }

  deinit {
    for source in sources { source.cancel() }
    Self.restoreSignals()
  }

  private static func restoreSignals() {
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
  }

  var hasHappened: Bool { happened.flag.load(ordering: .relaxed) }
}
