import BusProtocol
import Platform
import PooledMemory
import Testing
import Vocabulary

@testable import PoolBus

/// When a publisher rings those who listen.
@Suite struct ListenersTests {
  private let subscription = SubscriptionID(rawValue: 1)

  private func listeners(_ page: borrowing WakePageOwner) throws -> Listeners {
    var listeners = Listeners()
    try add(1, page, bell: "bell", to: &listeners)
    return listeners
  }

  private func add(
    _ subscription: UInt64, _ page: borrowing WakePageOwner, bell: String, to listeners: inout Listeners
  ) throws {
    let view = try WakePageView(mapping: OwnedDescriptor.duplicating(page.raw))
    let joined = SubscriberJoined(
      stream: StreamID(rawValue: 1), subscription: SubscriptionID(rawValue: subscription), joins: subscription,
      observes: false, bell: bell)
    listeners.add(joined, view)
  }

  private func addObserver(_ subscription: UInt64, to listeners: inout Listeners) {
    let joined = SubscriberJoined(
      stream: StreamID(rawValue: 1), subscription: SubscriptionID(rawValue: subscription), joins: 1, observes: true,
      bell: "")
    listeners.add(joined, nil)
  }

  private func bells(_ calls: Calls) -> [String] { (0..<calls.count).compactMap { calls.bells[$0] } }

  @Test func oneHandleEndsASleep() throws {
    let page = try WakePageOwner()
    var listeners = try listeners(page)
    page.setAwake()
    var rings = [listeners.mustBeRung(now: 1000)]
    page.setAsleep(1)
    rings += [listeners.mustBeRung(now: 1000), listeners.mustBeRung(now: 1001)]
    page.setAwake()
    page.setAsleep(2)
    rings += [listeners.mustBeRung(now: 1002), listeners.mustBeRung(now: 1003)]
    #expect(rings == [false, true, false, true, false])
  }

  @Test func aSleepThatLastsIsRungAgain() throws {
    let page = try WakePageOwner()
    var listeners = try listeners(page)
    page.setAsleep(1)
    let times: [UInt64] = [5, 6, 6 + Listeners.ringsAgainAfter, 7 + Listeners.ringsAgainAfter]
    // And when the clock was set back.
    let rings = times.map { listeners.mustBeRung(now: $0) } + [listeners.mustBeRung(now: 1)]
    #expect(rings == [true, false, true, false, true])
  }

  @Test func whoDoesNotCountItsSleepsIsAlwaysRung() throws {
    let page = try WakePageOwner()
    var listeners = try listeners(page)
    let rings = [listeners.mustBeRung(now: 1), listeners.mustBeRung(now: 1)]
    #expect(rings == [true, true])
  }

  @Test func whoHasNoPageOrWantsEveryHandleIsAlwaysRung() {
    for observes in [true, false] {
      var listeners = Listeners()
      let joined = SubscriberJoined(
        stream: StreamID(rawValue: 1), subscription: subscription, joins: 1, observes: observes, bell: "bell")
      listeners.add(joined, nil)
      let rings = [listeners.mustBeRung(now: 1), listeners.mustBeRung(now: 1)]
      #expect(rings == [true, true])
      let calls = listeners.calls(at: 1)
      #expect(calls.needZeroMQ && calls.count == 0)
      listeners.remove(subscription)
      let isOver = !listeners.mustBeRung(now: 1)
      #expect(isOver)
    }
  }

  @Test func whoSleepsIsRungAtItsClientsBellAndNobodyElse() throws {
    let asleep = try WakePageOwner()
    let awake = try WakePageOwner()
    let another = try WakePageOwner()
    asleep.setAsleep(1)
    awake.setAwake()
    another.setAsleep(1)
    var listeners = Listeners()
    try add(1, asleep, bell: "a", to: &listeners)
    try add(2, awake, bell: "b", to: &listeners)
    // A client looks at all of its subscriptions.
    try add(3, another, bell: "a", to: &listeners)
    let rings = listeners.mustBeRung(now: 7)
    #expect(rings)
    #expect(bells(listeners.calls(at: 7)) == ["a"] && !listeners.calls(at: 7).needZeroMQ)
    // An observer's handle does not keep others from their bells.
    addObserver(4, to: &listeners)
    asleep.setAsleep(2)
    let ringsAgain = listeners.mustBeRung(now: 8)
    #expect(ringsAgain)
    #expect(bells(listeners.calls(at: 8)) == ["a"] && listeners.calls(at: 8).needZeroMQ)
  }

  @Test func whoHasNoBellAndWhoIsOneTooManyAreReachedOverZeroMQ() throws {
    let page = try WakePageOwner()
    page.setAsleep(1)
    var listeners = Listeners()
    for number in 1...UInt64(Calls.most) { try add(number, page, bell: "\(number)", to: &listeners) }
    let rings = listeners.mustBeRung(now: 7)
    #expect(rings)
    #expect(listeners.calls(at: 7).count == Calls.most && !listeners.calls(at: 7).needZeroMQ)
    try add(100, page, bell: "100", to: &listeners)
    page.setAsleep(2)
    let ringsAll = listeners.mustBeRung(now: 8)
    #expect(ringsAll)
    #expect(listeners.calls(at: 8).needZeroMQ && listeners.calls(at: 8).count == 0)

    var calls = Calls()
    calls.call("")
    #expect(calls.needZeroMQ && calls.count == 0)
  }
}
