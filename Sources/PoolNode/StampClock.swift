/// Tells when a message was published, by the clock that nobody sets, from its stamp, which is of the one that is set now and
/// then: it keeps in mind what that one was set to while this node lived.
///
/// It errs on one side: a message may seem to have been published later than it was, not earlier. So a subscription that
/// joined while a stream was away may be given what was published before, but misses nothing of what came after. (What it can
/// not know: a clock that was set forward before this node began, or set back and forward between two looks.)
struct StampClock {
  private struct Setting {
    /// It was made after this moment, and before that of the look that found it.
    var after: UInt64
    /// What it added to the monotonic clock's time.
    var offset: Int64
    /// When the next one was found; nil if there is none.
    var end: UInt64?
  }

  /// Readings of two clocks, one after the other, differ by some more or less; a clock is not set by so little.
  private static let tolerance: UInt64 = 100_000
  /// As many settings are kept in mind.
  static let most = 64

  private var settings: [Setting]
  private var lastLook: UInt64

  /// - Parameter now: what both clocks say, as ``Platform/Clock/both`` does.
  init(now: (monotonic: UInt64, realtime: UInt64)) {
    settings = [Setting(after: 0, offset: Int64(bitPattern: now.realtime &- now.monotonic))]
    lastLook = now.monotonic
  }

  mutating func look(now: (monotonic: UInt64, realtime: UInt64)) {
    defer { lastLook = now.monotonic }
    let offset = Int64(bitPattern: now.realtime &- now.monotonic)
    guard let last = settings.last, (offset &- last.offset).magnitude > Self.tolerance else { return }
    settings[settings.count - 1].end = now.monotonic
    settings.append(Setting(after: lastLook, offset: offset))
    if settings.count > Self.most { settings.removeFirst() }
  }

  /// The latest moment, up to the last look, at which a message with this stamp may have been published.
  func latestTime(of stamp: UInt64) -> UInt64 {
    var latest: UInt64?
    for (index, setting) in settings.enumerated() {
      // What a publisher writes may be anything.
      let time = UInt64(max(Int64(bitPattern: stamp &- UInt64(bitPattern: setting.offset)), 0))
      // Before the first there was another, which nobody here knows.
      guard index == 0 || time >= setting.after, time <= (setting.end ?? lastLook) + Self.tolerance else { continue }
      latest = max(latest ?? 0, min(time, lastLook))
    }
    // The clock was set, and set again, between two looks.
    return latest ?? lastLook
  }
}
