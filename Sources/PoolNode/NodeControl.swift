import Platform
import Synchronization

/// How other threads reach the node's: to wake it, to stop it, to await its end.
final class NodeControl: Sendable {
  private struct State {
    var isStopping = false
    var isFinished = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let event: WakeEvent
  private let state = Mutex(State())

  init() throws(Errno) { event = try WakeEvent() }

  var descriptor: CInt { event.raw }
  var isStopping: Bool { state.withLock { $0.isStopping } }

  func wake() { event.signal() }
  func clear() { event.clear() }

  func stop() {
    state.withLock { $0.isStopping = true }
    wake()
  }

  func finished() {
    let waiting = state.withLock { state in
      state.isFinished = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func waitUntilFinished() async {
    await withCheckedContinuation { continuation in
      let isFinished = state.withLock { state in
        if !state.isFinished { state.waiting.append(continuation) }
        return state.isFinished
      }
      if isFinished { continuation.resume() }
    }
  }
}
