import CPlatform
import Glibc

/// Waits for many descriptors at once: epoll, level-triggered.
public struct Poller: ~Copyable, Sendable {
  public struct Interest: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Interest(rawValue: UInt32(poolbus_readable))
    public static let writable = Interest(rawValue: UInt32(poolbus_writable))
  }

  /// What happened to the descriptor that was added with this token.
  public struct Readiness: Sendable {
    public let token: UInt64
    public let readable: Bool
    public let writable: Bool
    public let hungUp: Bool

    init(_ raw: poolbus_readiness) {
      token = raw.token
      readable = raw.events & UInt32(poolbus_readable) != 0
      writable = raw.events & UInt32(poolbus_writable) != 0
      hungUp = raw.events & UInt32(poolbus_hung_up | poolbus_failed) != 0
    }
  }

  private let descriptor: OwnedDescriptor

  public init() throws(Errno) {
    descriptor = OwnedDescriptor(adopting: try check(poolbus_poller()))
  }

  /// A hang-up is reported whatever the interest.
  public borrowing func add(_ file: CInt, token: UInt64, _ interest: Interest) throws(Errno) {
    _ = try check(poolbus_poller_add(descriptor.raw, file, token, interest.rawValue))
  }

  public borrowing func modify(_ file: CInt, token: UInt64, _ interest: Interest) throws(Errno) {
    _ = try check(poolbus_poller_modify(descriptor.raw, file, token, interest.rawValue))
  }

  public borrowing func remove(_ file: CInt) throws(Errno) {
    _ = try check(poolbus_poller_remove(descriptor.raw, file))
  }

  /// Waits until something happens, or the time is over; nil waits for ever.
  ///
  /// - Returns: how often `body` was called: once for each ready descriptor, at most 64. 0 after a signal, too.
  @discardableResult
  public borrowing func wait(
    timeoutNanoseconds: UInt64?, _ body: (Readiness) -> Void
  ) throws(Errno) -> Int {
    var ready = InlineArray<64, poolbus_readiness>(repeating: poolbus_readiness())
    var span = ready.mutableSpan
    let timeout = timeoutNanoseconds.map { Int64(clamping: $0) } ?? -1
    // SAFETY: the kernel's answer goes into the array, whose length goes with it.
    let count = unsafe span.withUnsafeMutableBufferPointer { buffer in
      unsafe poolbus_poller_wait(descriptor.raw, buffer.baseAddress, CInt(buffer.count), timeout)
    }
    guard count >= 0 else {
      let error = Errno(rawValue: errno)
      if error == .interrupted { return 0 }
      throw error
    }
    for index in 0..<Int(count) { body(Readiness(ready[index])) }
    return Int(count)
  }
}

/// Wakes a thread that waits in a ``Poller``: an eventfd.
public struct WakeEvent: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor

  public init() throws(Errno) {
    descriptor = OwnedDescriptor(adopting: try check(poolbus_wake_event()))
  }

  public var raw: CInt { descriptor.raw }

  /// Makes the descriptor readable until ``clear()``.
  public borrowing func signal() { poolbus_signal(descriptor.raw) }

  public borrowing func clear() { poolbus_clear(descriptor.raw) }
}
