/// How handles travel from publishers to subscribers.
///
/// A transport may lose, repeat or delay handles: the log is the truth, and a handle is only a doorbell. Implementations
/// are held to one conformance suite.
public protocol HandleTransport: Sendable {
  /// Opens the one sender of a client at an endpoint that the node chose.
  func sender(at endpoint: String) throws(TransportError) -> any HandleSender
  func receiver() throws(TransportError) -> any HandleReceiver
}

/// The publishing end: every handle goes to every receiver that subscribed to its prefix. Safe to use from any thread.
public protocol HandleSender: AnyObject, Sendable {
  /// Is found at another endpoint from now on. Who has connected already stays until it moves once more.
  func move(to endpoint: String) throws(TransportError)
  /// Sends without waiting. A handle that a receiver has no room for is dropped for that receiver.
  func send(_ handle: RawSpan)
  /// Handles sent so far, and their bytes.
  var sentCount: UInt64 { get }
  var sentByteCount: UInt64 { get }
  /// Ends the sender; sending is without effect from then on.
  func close()
}

/// The receiving end. Safe to use from any thread, by one at a time to good purpose.
public protocol HandleReceiver: AnyObject, Sendable {
  /// Receives from a sender, which need not be there yet.
  func connect(to endpoint: String) throws(TransportError)
  func disconnect(from endpoint: String)
  /// Takes handles that begin so; without any prefix none comes.
  func subscribe(prefix: [UInt8])
  func unsubscribe(prefix: [UInt8])
  /// Readable when handles may wait: call ``receive(into:)`` until it returns nil. Call it also after every other
  /// method here, which may have used up the descriptor's signal.
  var descriptor: CInt { get }
  /// Takes the next handle, cut to the buffer's size.
  /// - Returns: the bytes taken, or nil if nothing waits.
  func receive(into buffer: inout MutableRawSpan) -> Int?
  func close()
}

/// Why an endpoint could not be used.
public struct TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  public let endpoint: String
  public let problem: String

  public var description: String { "handles can't travel by \(endpoint): \(problem)" }
}

/// How many handles may wait at either end before further ones are dropped.
let highWaterMark = 1000
