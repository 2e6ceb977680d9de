import CPlatform
import Glibc

/// The kernel's clocks, read without a system call.
public enum Clock {
  /// Nanoseconds since some moment before; never set back.
  public static var monotonicNanoseconds: UInt64 { read(CLOCK_MONOTONIC) }

  /// Nanoseconds since 1970, as the machine believes.
  public static var realtimeNanoseconds: UInt64 { read(CLOCK_REALTIME) }

  /// Both at one moment, but for a microsecond as a rule.
  public static var both: (monotonic: UInt64, realtime: UInt64) {
    var best: (duration: UInt64, monotonic: UInt64, realtime: UInt64)?
    // This thread may lose its core between two readings.
    for _ in 0..<8 {
      let (before, realtime, after) = (monotonicNanoseconds, realtimeNanoseconds, monotonicNanoseconds)
      if best.map({ after - before < $0.duration }) ?? true { best = (after - before, before, realtime) }
      if after - before < 1_000 { break }
    }
    return best.map { ($0.monotonic, $0.realtime) } ?? (monotonicNanoseconds, realtimeNanoseconds)
  }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    // SAFETY: the structure outlives the call, which can't fail for these clocks.
    unsafe clock_gettime(clock, &time)
    return UInt64(bitPattern: Int64(time.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(time.tv_nsec))
  }
}

/// Tells the processor that this thread spins, so that the other hardware thread of its core gets more of it.
@inlinable
public func spinHint() { poolbus_spin_hint() }

/// Lets others have the core, if somebody waits for it.
public func yieldCore() { sched_yield() }

/// Sleeps for a moment: some 6 microseconds longer than that as a rule, and shorter where a signal comes.
///
/// - Parameter nanoseconds: less than a second.
public func nap(nanoseconds: UInt32) { poolbus_nap(nanoseconds) }

/// Asks the processor for the cache line at an address that will be read soon.
@inlinable
public func prefetch(_ address: UnsafeRawPointer) { unsafe poolbus_prefetch(address) }

/// Asks the processor for the cache line at an address that will be written soon.
@inlinable
public func prefetchForWriting(_ address: UnsafeRawPointer) { unsafe poolbus_prefetch_for_writing(address) }
