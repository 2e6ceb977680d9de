import CPeer
import Foundation
import PoolBus

let arguments = Arguments()

/// What the driver asked for, read by the same code as every other peer's.
struct Arguments: @unchecked Sendable {
  // Unchecked: nobody changes it, and its strings are the process's arguments.
  private let peer: UnsafePointer<peer>

  init() {
    unsafe peer = poolbus_parse(CommandLine.argc, CommandLine.unsafeArgv)
    mode =
      switch unsafe peer.pointee.mode {
      case PEER_SPIN: .spin
      case PEER_ADAPTIVE: .adaptive
      default: .block
      }
    size = unsafe peer.pointee.size
  }

  var role: String { unsafe String(cString: peer.pointee.role) }
  var place: String { unsafe String(cString: peer.pointee.place) }
  let size: Int
  var publishers: Int { unsafe Int(peer.pointee.publishers) }
  var index: Int { unsafe Int(peer.pointee.index) }
  var topics: Int { unsafe Int(peer.pointee.topics) }
  /// Whether payloads are written and read whole.
  var isTouched: Bool { unsafe peer.pointee.touch != 0 }
  /// Bytes; 0 leaves it to this peer.
  var pool: Int { unsafe peer.pointee.pool }

  // How the driver calls this program says what it shall do otherwise.

  /// Many messages are published, and taken, at once.
  let isBatching = CommandLine.arguments[0].hasSuffix("-batch")
  /// The receiving thread looks by itself, and is there for nothing else.
  let isPolling = CommandLine.arguments[0].hasSuffix("-poll")

  let mode: Waiting

  var subscriberOptions: SubscriberOptions { SubscriberOptions(waiting: mode) }

  /// Sleeps for as long as a ping shall before each round trip.
  func pause() { unsafe peer_pause(peer) }

  /// Waits until a source's message is due, so many after the round's first.
  func pace(from start: UInt64, index: UInt64) { unsafe peer_pace(peer, start, index) }
}

struct BadOrder: Error, CustomStringConvertible { let description: String }

/// How many messages the next round has; nil when there is none.
func nextRound() -> Int? {
  let count = peer_order()
  return count == 0 ? nil : Int(count)
}

func say(_ line: String) { peer_say(line) }
