import Vocabulary

/// What can go wrong on the bus, and what to do about it.
public enum BusError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No node could be joined or started.
  case cannotJoin(String)
  /// The node is gone, and what was asked for needs one. With ``NodeLossPolicy/rejoin(within:)`` that is thrown by a
  /// publisher that does not wait, or not for so long, and by everything once no node came back in time; try again when
  /// ``Bus/nodeEvents`` tells that it is back. What is mapped stays readable.
  ///
  /// `publish` throws it if the node lives but has ended this client's connection, or this client has: nothing more is
  /// handed on then, and whether this last message was, nobody can tell.
  case nodeLost
  /// The pool or the topic's quota is full, and the publisher's policy gave up. The text says who holds what.
  case poolExhausted(String)
  /// No segment can ever hold a payload of this size; of a batch, all its payloads, with alignment and slots.
  case payloadTooLarge(byteCount: Int, limit: Int)
  /// The machine has no memory for a segment, though the pool has room.
  case outOfMemory(String)
  /// An alignment that is no power of two, or above 2 MiB.
  case invalidAlignment(Int)
  /// A negative count, a batch of no messages, or a count whose bytes don't fit an `Int`.
  case invalidCount(Int)
  /// More bytes were to be published than the loan holds.
  case beyondLoan(byteCount: Int, loaned: Int)
  /// Attributes that can't be sent, or that a publisher has written so; the text names the field.
  case invalidAttributes(String)
  /// The publisher, subscriber or bus was closed.
  case closed
  /// A policy took messages before they were read. Reading goes on after them.
  case lagged(Lag)
  /// A publisher's segment holds nonsense. The rest of it is skipped; reading goes on after it.
  case corruptSegment(String)
  /// The payload does not hold whole, aligned elements of the type it is read as.
  case typeMismatch(String)
  /// Another task waits for this subscriber's next message already: one at a time may.
  case alreadyWaiting
  /// The node's access list does not let this user do that.
  case notPermitted(String)
  /// The client, or all clients of this user, have as much as the node allows them.
  case limitReached(String)
  /// The node refused; the text says why.
  case refused(String)

  public var description: String {
    switch self {
    case .cannotJoin(let why): "can't join a node: \(why)"
    case .nodeLost:
      "the node is gone; received samples stay readable, but to publish or receive more needs a node: "
        + "try again when this client has rejoined, or connect anew if it does not rejoin"
    case .poolExhausted(let who): "the pool is exhausted: \(who)"
    case .payloadTooLarge(let byteCount, let limit):
      "a payload of \(byteCount) bytes can never fit: the limit here is \(limit) bytes; "
        + "send it in parts, or, if it fits in a segment of 256 GiB, contribute more to the pool or raise the topic's quota"
    case .outOfMemory(let why): "the machine is out of memory: \(why)"
    case .invalidAlignment(let alignment):
      "an alignment of \(alignment) is not possible: use a power of two from 1 to 2097152"
    case .invalidCount(let count): "\(count) is not a possible number of bytes or elements"
    case .beyondLoan(let byteCount, let loaned):
      "\(byteCount) bytes can't be published from a loan of \(loaned): loan as much as is needed"
    case .invalidAttributes(let why): "the attributes are invalid: \(why)"
    case .closed: "it was closed; open a new one"
    case .lagged(let lag): "\(lag)"
    case .corruptSegment(let what): "a publisher's segment is corrupt: \(what); the rest of it is skipped"
    case .typeMismatch(let why): "the payload can't be read as that type: \(why)"
    case .alreadyWaiting: "another task waits for this subscriber's next message: give each task its own subscriber"
    case .notPermitted(let why): "not permitted: \(why)"
    case .limitReached(let why): "a limit is reached: \(why)"
    case .refused(let why): "the node refused: \(why)"
    }
  }
}

/// Messages of one stream that a policy took before the subscription read them.
public struct Lag: Hashable, Sendable, CustomStringConvertible {
  public var topic: TopicName
  public var stream: StreamID
  /// The sequences that are lost, all of them adjacent.
  public var sequences: ClosedRange<UInt64>

  public var messages: UInt64 { sequences.upperBound - sequences.lowerBound + 1 }

  public var description: String {
    "lagged on \(topic): \(messages) message(s), \(sequences.lowerBound) to \(sequences.upperBound), were evicted unread"
  }
}
