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
    let view = try WakePageView(mapping: OwnedDescriptor.duplicating(page.raw))
    let joined = SubscriberJoined(
      stream: StreamID(rawValue: 1), subscription: subscription, joins: 1, observes: false)
    listeners.add(joined, view)
    return listeners
  }

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
        stream: StreamID(rawValue: 1), subscription: subscription, joins: 1, observes: observes)
      listeners.add(joined, nil)
      let rings = [listeners.mustBeRung(now: 1), listeners.mustBeRung(now: 1)]
      #expect(rings == [true, true])
      listeners.remove(subscription)
      let isOver = !listeners.mustBeRung(now: 1)
      #expect(isOver)
    }
  }
}
