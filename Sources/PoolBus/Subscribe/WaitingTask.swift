/// A task that waits for a message. It goes on when this is let go: the type sees to it that this happens, and once.
///
/// A checked continuation would allocate at every wait.
@safe
struct WaitingTask: ~Copyable, Sendable {
  private let continuation: UnsafeContinuation<Void, Never>

  /// Suspends the caller's task. `keep` is given its owner.
  static func suspend(_ keep: (consuming WaitingTask) -> Void) async {
    // SAFETY: the one copy is that of an owner that can't be copied, and resumes in its deinit only.
    await unsafe withUnsafeContinuation { keep(unsafe WaitingTask(continuation: $0)) }
  }

  private init(continuation: UnsafeContinuation<Void, Never>) { unsafe self.continuation = continuation }

  deinit { unsafe continuation.resume() }

  /// Lets the task go on.
  consuming func resume() {}
}
