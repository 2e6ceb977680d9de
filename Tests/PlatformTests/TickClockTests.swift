import Testing

@testable import Platform

@Suite("Time counted in the processor's ticks")
struct TickClockTests {
  /// Half a nanosecond a tick.
  private static let ticksPerNanosecond: UInt64 = 2
  private static let start: UInt64 = 5_000_000_000
  private static let realtime: UInt64 = 1_800_000_000_000_000_000

  /// What clocks and counter say so many nanoseconds after the start.
  private func look(at time: UInt64, realtimeSetBy jump: UInt64 = 0, counterSetBy count: UInt64 = 0) -> TickScale.Look {
    TickScale.Look(
      ticks: Self.ticksPerNanosecond * (Self.start + time) &+ count, realtime: Self.realtime + time &+ jump,
      monotonic: Self.start + time)
  }

  private func ticks(at time: UInt64) -> UInt64 { look(at: time).ticks }

  /// Trusts ticks from 3 ms on.
  private func measured() -> TickScale {
    var scale = TickScale()
    for time: UInt64 in [0, 1_500_000, 3_000_000] { scale.look(look(at: time), since: Self.start + time - 60) }
    return scale
  }

  @Test("Two measurements that agree are needed first")
  func isMeasured() {
    var scale = TickScale()
    #expect(scale.time(at: ticks(at: 0)) == nil)
    for time: UInt64 in [0, 1_500_000] {
      scale.look(look(at: time), since: Self.start + time - 60)
      #expect(scale.time(at: ticks(at: time + 10)) == nil)
    }
    #expect(measured().time(at: ticks(at: 3_000_010)) == Self.realtime + 3_000_010)
  }

  @Test("It counts on from the last look, and only for a while")
  func isTrustedForAWhile() {
    let (scale, end) = (measured(), 3_000_000 + TickScale.span)
    #expect(scale.time(at: ticks(at: end - 100)) == Self.realtime + end - 100)
    #expect(scale.monotonic(at: ticks(at: end - 100)) == Self.start + end - 100)
    #expect(scale.time(at: ticks(at: end + 100)) == nil)
  }

  @Test("A clock that is set is followed from the next look on")
  func followsTheClock() {
    var scale = measured()
    let (time, jump) = (UInt64(8_000_000), UInt64(3_600_000_000_000))
    scale.look(look(at: time, realtimeSetBy: jump), since: Self.start + time - 60)
    #expect(scale.time(at: ticks(at: time + 10)) == Self.realtime + jump + time + 10)
    #expect(scale.monotonic(at: ticks(at: time + 10)) == Self.start + time + 10)
  }

  @Test("A counter that begins anew, as on another host, is not trusted until it is measured again")
  func noticesAnotherCounter() {
    var scale = measured()
    let back = 0 &- ticks(at: 3_000_000)
    #expect(scale.time(at: ticks(at: 3_000_010) &+ back) == nil)
    scale.look(look(at: 5_000_000, counterSetBy: back), since: Self.start + 5_000_000 - 60)
    #expect(scale.time(at: ticks(at: 5_000_010) &+ back) == nil)
    scale.look(look(at: 7_000_000, counterSetBy: back), since: Self.start + 7_000_000 - 60)
    #expect(scale.time(at: ticks(at: 7_000_010) &+ back) == Self.realtime + 7_000_010)
  }

  @Test("A counter that jumps is not trusted until two measurements agree")
  func noticesAJump() {
    var scale = measured()
    for time: UInt64 in [8_000_000, 10_000_000] {
      scale.look(look(at: time, counterSetBy: 1_000_000), since: Self.start + time - 60)
      #expect(scale.time(at: ticks(at: time + 10) &+ 1_000_000) == nil)
    }
    scale.look(look(at: 12_000_000, counterSetBy: 1_000_000), since: Self.start + 12_000_000 - 60)
    #expect(scale.time(at: ticks(at: 12_000_010) &+ 1_000_000) == Self.realtime + 12_000_010)
  }

  @Test("A look that was interrupted says nothing")
  func ignoresInterruptedLooks() {
    var scale = measured()
    let late = TickScale.Look(
      ticks: ticks(at: 6_900_000), realtime: Self.realtime + 6_000_000, monotonic: Self.start + 6_900_000)
    scale.look(late, since: Self.start + 6_000_000)
    #expect(scale.time(at: ticks(at: 6_950_000)) == Self.realtime + 6_950_000)
  }

  @Test("It tells the kernel's time", arguments: [true, false])
  func agreesWithTheKernel(since1970: Bool) {
    var clock = TickClock()
    // Beyond what one look is trusted for, so that it is looked at again.
    let end = Clock.monotonicNanoseconds + 5 * TickScale.span
    while Clock.monotonicNanoseconds < end {
      let before = since1970 ? Clock.realtimeNanoseconds : Clock.monotonicNanoseconds
      let now = since1970 ? clock.now() : clock.monotonic()
      let after = since1970 ? Clock.realtimeNanoseconds : Clock.monotonicNanoseconds
      // Ticks are measured by clocks that are read one after the other.
      guard now &+ 10_000 >= before, now <= after + 10_000 else {
        Issue.record("\(now) is not between \(before) and \(after)")
        return
      }
    }
  }
}
