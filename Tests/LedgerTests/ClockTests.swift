import Testing
import Vocabulary

@testable import Ledger

/// A clock that is set back or forward delays or hastens what waits for it, and nothing else.
@Suite struct ClockTests {
  @Test func aLeaseThatWaitsIsNotForgottenWhenTheClockIsSetBack() throws {
    var world = World(pages: 2)
    world.now = 1_000_000_000_000
    let stream = world.publisher("a", whenFull: .wait(timeout: .seconds(1)))
    let subscriber = world.subscriber("a")
    let segment = try world.publish(stream, pages: 2)
    let waiting = world.ask(stream, pages: 2)
    world.now = 5
    world.advance(by: 1)
    #expect(world.granted[waiting] == nil && world.refused[waiting] == nil)
    world.release(segment, by: subscriber)
    #expect(world.granted[waiting] != nil)
  }

  @Test func aLeaseThatWaitsGivesUpWhenTheClockIsSetForward() throws {
    var world = World(pages: 2)
    let stream = world.publisher("a", whenFull: .wait(timeout: .seconds(1)))
    _ = world.subscriber("a")
    _ = try world.publish(stream, pages: 2)
    let waiting = world.ask(stream)
    world.now = .max - 1
    world.advance(by: 1)
    #expect(world.refused[waiting] != nil)
    // And a deadline at the end of time is none that overflows.
    _ = world.ask(stream)
  }

  @Test func whatIsRetainedByAgeOutlivesAClockThatIsSetBackAndNoMore() throws {
    var world = World(pages: 4)
    world.now = 1_000_000_000_000
    let stream = world.publisher("a", retention: Retention(age: .seconds(10)))
    let segment = try world.publish(stream)
    #expect(world.state(of: segment) == .retained)
    world.now = 7
    world.advance(by: 1)
    #expect(world.state(of: segment) == .retained)
    world.now = 1_020_000_000_000
    world.advance(by: 1)
    #expect(world.state(of: segment) != .retained)
  }
}
