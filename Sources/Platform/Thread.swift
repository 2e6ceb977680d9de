import CPlatform
import Glibc

/// Runs `body` on a thread of its own, which `busctl`, `top -H` and debuggers show by this name (15 bytes are kept).
///
/// The thread is detached: what awaits its end must be told by `body`.
public func startThread(named name: String, _ body: sending @escaping () -> Void) throws(Errno) {
  final class Start {
    let name: String
    let body: () -> Void
    init(_ name: String, _ body: @escaping () -> Void) {
      self.name = name
      self.body = body
    }
  }
  var attributes = pthread_attr_t()
  var thread = pthread_t()
  // SAFETY: the structures outlive the calls; the start object's one reference goes over to the thread, which takes it
  // up again, or back to this function if there is no thread.
  unsafe pthread_attr_init(&attributes)
  defer { unsafe pthread_attr_destroy(&attributes) }
  unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  let start = unsafe Unmanaged.passRetained(Start(name, body))
  let result = unsafe pthread_create(
    &thread, &attributes,
    { argument in
      guard let argument = unsafe argument else { return nil }
      let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
      unsafe poolbus_name_thread(start.name)
      start.body()
      return nil
    }, unsafe start.toOpaque())
  guard result == 0 else {
    unsafe start.release()
    throw Errno(rawValue: result)
  }
}
