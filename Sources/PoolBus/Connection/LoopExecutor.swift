import Glibc
import Platform
import Synchronization

/// Runs tasks on the client's own thread, between its looks at the node's socket, its bell and ZeroMQ's.
///
/// A task that waits there for a message goes on in the very thread that the message wakes. Once that thread has ended,
/// the global executor runs what is left.
final class LoopExecutor: TaskExecutor {
  private let state = Mutex(State())
  private let wake: WakeEvent

  private struct State {
    var jobs: [UnownedJob] = []
    /// Room for the jobs that come while those are run.
    var spare: [UnownedJob] = []
    var thread: pthread_t?
    var hasEnded = false
  }

  init(wake: consuming WakeEvent) { self.wake = wake }

  /// The event that wakes the loop: readable when there are jobs, or when ``wakeUp()`` was called.
  var descriptor: CInt { wake.raw }
  func wakeUp() { wake.signal() }
  func clear() { wake.clear() }

  func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    let (isLate, mustWake) = state.withLock { state in
      guard !state.hasEnded else { return (true, false) }
      state.jobs.append(unowned)
      return (false, state.jobs.count == 1 && state.thread != pthread_self())
    }
    if isLate {
      globalConcurrentExecutor.enqueue(unowned)
    } else if mustWake {
      wake.signal()
    }
  }

  // MARK: - On the loop's thread

  func begin() { state.withLock { $0.thread = pthread_self() } }

  var isIdle: Bool { state.withLock { $0.jobs.isEmpty } }

  /// Runs what is there, but not what that adds: the sockets are looked at in between.
  func runJobs() {
    var jobs = state.withLock { state in
      swap(&state.jobs, &state.spare)
      defer { state.spare = [] }
      return state.spare
    }
    guard !jobs.isEmpty else { return }
    // SAFETY: each job was enqueued once and is run once, on this executor's thread.
    for job in jobs { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    jobs.removeAll(keepingCapacity: true)
    state.withLock { $0.spare = jobs }
  }

  func end() {
    let jobs = state.withLock { state in
      state.hasEnded = true
      defer { state.jobs = [] }
      return state.jobs
    }
    for job in jobs { globalConcurrentExecutor.enqueue(job) }
  }
}
