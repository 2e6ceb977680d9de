import CPlatform

/// The time as ``Clock`` tells it, for a hot loop: the processor's ticks since the last look at the kernel's clocks, which is
/// never long ago.
///
/// The kernel's own way, through the vDSO, is the same, but first waits for all loads that are under way. Where the kernel
/// does not count by these ticks itself, they are not used.
public struct TickClock: Sendable {
  @usableFromInline var scale = TickScale()

  public init() {}

  /// Nanoseconds since 1970. May be less than it was before by as much as two looks at the kernel's clocks differ: some tens
  /// of nanoseconds, or what the clock was set back by.
  @inlinable
  public mutating func now() -> UInt64 {
    if let time = scale.time(at: poolbus_ticks()) { return time }
    return lookAtRealtime()
  }

  /// Nanoseconds of the monotonic clock; may be less than before as ``now()``, but for what that clock is set back by.
  @inlinable
  public mutating func monotonic() -> UInt64 {
    if let time = scale.monotonic(at: poolbus_ticks()) { return time }
    return lookAtMonotonic()
  }

  @inline(never) @usableFromInline
  mutating func lookAtRealtime() -> UInt64 { look()?.realtime ?? Clock.realtimeNanoseconds }

  @inline(never) @usableFromInline
  mutating func lookAtMonotonic() -> UInt64 { look()?.monotonic ?? Clock.monotonicNanoseconds }

  private mutating func look() -> TickScale.Look? {
    guard Self.isUsable else { return nil }
    let (before, realtime) = (Clock.monotonicNanoseconds, Clock.realtimeNanoseconds)
    let ticks = poolbus_ticks()
    let look = TickScale.Look(ticks: ticks, realtime: realtime, monotonic: Clock.monotonicNanoseconds)
    scale.look(look, since: before)
    return look
  }

  /// Whether the kernel trusts the ticks to be even, and alike on all cores.
  private static let isUsable: Bool = {
    let source = systemText(of: "/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return source == "tsc\n" || source == "arch_sys_counter\n"
  }()
}

/// What a tick is worth: a pure state machine over looks at the kernel's clocks.
@usableFromInline
struct TickScale: Sendable {
  @usableFromInline
  struct Look: Sendable {
    @usableFromInline var ticks: UInt64
    /// Nanoseconds since 1970.
    @usableFromInline var realtime: UInt64
    /// Nanoseconds of a clock that is never set.
    @usableFromInline var monotonic: UInt64
  }

  /// Nanoseconds for which ticks are trusted after a look: so long it may take to notice that the clock was set.
  static let span: UInt64 = 4_000_000
  /// A look that takes longer was interrupted, and says nothing of its moment. Nanoseconds.
  static let longestLook: UInt64 = 1_000
  /// Looks so far apart tell how long a tick is.
  static let measurable: ClosedRange<UInt64> = 1_000_000...2_000_000_000

  /// All 0 as long as there was none: that is too long ago to be trusted, or to measure by.
  @usableFromInline var last = Look(ticks: 0, realtime: 0, monotonic: 0)
  /// Nanoseconds of a tick, times 2^32; 0 while unknown.
  @usableFromInline var scale: UInt64 = 0
  /// For so many ticks after the last look.
  @usableFromInline var trusted: UInt64 = 0

  @usableFromInline init() {}

  /// The time since 1970 at this count of ticks, or nil if it is time to look at the clocks.
  @inlinable
  func time(at ticks: UInt64) -> UInt64? { elapsed(at: ticks).map { last.realtime &+ $0 } }

  /// As ``time(at:)``, of the clock that is never set.
  @inlinable
  func monotonic(at ticks: UInt64) -> UInt64? { elapsed(at: ticks).map { last.monotonic &+ $0 } }

  /// Nanoseconds since the last look.
  @inlinable
  func elapsed(at ticks: UInt64) -> UInt64? {
    // Also if the counter was set back: the difference is huge then.
    let elapsed = ticks &- last.ticks
    guard elapsed < trusted else { return nil }
    return (elapsed &* scale) >> 32
  }

  /// - Parameter start: the monotonic clock as the look began.
  mutating func look(_ look: Look, since start: UInt64) {
    guard look.monotonic &- start < Self.longestLook else { return }
    let (last, age) = (last, look.monotonic &- last.monotonic)
    // Too early to tell: as long as ticks are not trusted, each message is a look.
    guard age >= Self.measurable.lowerBound else { return trusted = 0 }
    self.last = look
    trusted = 0
    guard age <= Self.measurable.upperBound, look.ticks > last.ticks else { return }
    let measured = (age << 32) / (look.ticks - last.ticks)
    // A machine that moved to another host counts anew, and otherwise: then two measurements must agree.
    let agrees = max(measured, scale) - min(measured, scale) <= scale >> 10
    scale = measured
    if agrees, measured > 0 { trusted = (Self.span << 32) / measured }
  }
}
