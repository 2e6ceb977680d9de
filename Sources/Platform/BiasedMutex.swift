import Synchronization

/// A mutex for what one thread enters again and again, and others now and then.
///
/// The thread that enters nearly always, its owner, does so without an atomic read-modify-write, and so without waiting until
/// all that it stored before is seen: to others' cache lines that takes longer than what is done inside. In return, who comes
/// in its way pays microseconds; where many come, nobody is the owner, and it is an ordinary mutex. See ``MutexGate``.
///
/// As `Mutex`, it is not to be entered by a thread that is inside.
@safe
public struct BiasedMutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
  // Unchecked: the gate lets one thread in at a time.

  @usableFromInline let gate = MutexGate()
  @usableFromInline let value: UnsafeMutablePointer<Value>

  public init(_ value: consuming sending Value) {
    // SAFETY: allocated here, and let go of in `deinit`.
    unsafe self.value = .allocate(capacity: 1)
    unsafe self.value.initialize(to: value)
  }

  deinit {
    // SAFETY: as it ends, nobody is inside.
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
  }

  /// Calls `body` with the value, which is its alone meanwhile. Throws what it throws.
  @inlinable @inline(__always)
  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    let seat = unsafe gate.enter()
    defer { unsafe gate.leave(seat) }
    // SAFETY: nobody else is inside.
    return try unsafe body(&value.pointee)
  }
}
