import BusProtocol
import HandleTransport
import Platform
import Vocabulary

/// Handles as they come in, and the subscriptions that each wakes. Used by the client's loop alone.
///
/// A handle is only a doorbell. One that is lost costs a little time: waiting subscriptions look into their segments by
/// themselves again and again, at first soon after they meet a new stream (its publisher's socket may not have heard of
/// them yet), then ever less often.
final class Doorbells {
  private static let shortestRecheck: UInt64 = 1_000_000
  private static let longestRecheck: UInt64 = 250_000_000
  /// Handles taken at a time, however fast they come: the client has its node to listen to, too.
  static let mostAtATurn = 1_000

  private struct Stream {
    var topic: TopicName
    var endpoint: String
    var subscriptions: [SubscriptionCore]
  }

  private let transport: any HandleTransport
  private var receiver: (any HandleReceiver)?
  private var streams: [StreamID: Stream] = [:]
  /// Who listens, and to how many streams: a subscription looks into all of its streams at a time, and may have a thousand.
  private var listeners: [SubscriptionID: (subscription: SubscriptionCore, streams: Int)] = [:]
  private var connections: [String: Int] = [:]
  private var interval = Doorbells.shortestRecheck
  private var lastRecheck = Clock.monotonicNanoseconds
  private var buffer = [UInt8](repeating: 0, count: 256)
  /// Whether somebody wants to know what handles say.
  private var hasObservers = false

  init(transport: any HandleTransport) {
    self.transport = transport
  }

  /// Readable when handles may have come; nil before the first stream.
  var descriptor: CInt? { receiver?.descriptor }

  /// Nanoseconds until the next re-check, or nil while there is nothing to check.
  var recheckInterval: UInt64? { streams.isEmpty ? nil : interval }

  func listen(to introduced: StreamIntroduced, for subscription: SubscriptionCore) {
    interval = Self.shortestRecheck
    if subscription.observer != nil { hasObservers = true }
    let known = streams[introduced.stream]
    var stream =
      known ?? Stream(topic: introduced.topic, endpoint: introduced.handleEndpoint, subscriptions: [])
    stream.endpoint = introduced.handleEndpoint
    if !stream.subscriptions.contains(where: { $0 === subscription }) {
      stream.subscriptions.append(subscription)
      listeners[subscription.id, default: (subscription, 0)].streams += 1
    }
    streams[introduced.stream] = stream
    guard known?.endpoint != stream.endpoint else { return }
    connect(introduced.stream, at: stream.endpoint)
    // A new node has given its publisher another place.
    if let known { disconnect(introduced.stream, from: known.endpoint) }
  }

  private func connect(_ stream: StreamID, at endpoint: String) {
    guard !endpoint.isEmpty else { return }
    // Without a doorbell the re-check still finds every message.
    guard let receiver = try? receiver ?? transport.receiver() else { return }
    self.receiver = receiver
    receiver.subscribe(prefix: HandleCodec.prefix(of: stream))
    if connections[endpoint, default: 0] == 0 { try? receiver.connect(to: endpoint) }
    connections[endpoint, default: 0] += 1
  }

  private func disconnect(_ stream: StreamID, from endpoint: String) {
    guard !endpoint.isEmpty, let count = connections[endpoint] else { return }
    receiver?.unsubscribe(prefix: HandleCodec.prefix(of: stream))
    connections[endpoint] = count > 1 ? count - 1 : nil
    if count == 1 { receiver?.disconnect(from: endpoint) }
  }

  func stop(_ stream: StreamID, for subscription: SubscriptionID) {
    guard var listening = streams[stream],
      let index = listening.subscriptions.firstIndex(where: { $0.id == subscription })
    else { return }
    listening.subscriptions.remove(at: index)
    listeners[subscription]?.streams -= 1
    if listeners[subscription]?.streams == 0 { listeners[subscription] = nil }
    guard listening.subscriptions.isEmpty else {
      streams[stream] = listening
      return
    }
    streams[stream] = nil
    disconnect(stream, from: listening.endpoint)
  }

  func remove(_ subscription: SubscriptionID) {
    for (stream, listening) in streams where listening.subscriptions.contains(where: { $0.id == subscription }) {
      stop(stream, for: subscription)
    }
  }

  /// Takes the handles that wait, and wakes whom they concern.
  ///
  /// - Parameter rung: called after each that has woken somebody, or may have.
  /// - Returns: whether more may wait, of which the descriptor does not tell again.
  func drain(_ rung: () -> Void) -> Bool {
    guard let receiver else { return false }
    var taken = 0
    while taken < Self.mostAtATurn {
      var span = buffer.mutableSpan
      // SAFETY: an array of bytes has no padding.
      var bytes = unsafe span.mutableBytes
      guard let count = receiver.receive(into: &bytes) else { return false }
      if take(count, observed: hasObservers) { rung() }
      taken += 1
    }
    return true
  }

  /// Takes the next handle that waits at the bell, as ``drain(_:)``; whatever else waits there, the poller tells.
  func answer(_ bell: Bell) {
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var bytes = unsafe span.mutableBytes
    // Observers get theirs over ZeroMQ.
    if let count = bell.receive(into: &bytes) { _ = take(count, observed: false) }
  }

  /// Wakes whom the handle in the buffer's first bytes concerns.
  ///
  /// - Returns: false if it is none: nonsense on the wire rings nobody, and harms nobody.
  private func take(_ byteCount: Int, observed: Bool) -> Bool {
    // A doorbell's stream is all that its subscribers need.
    guard let id = stream(byteCount), let stream = streams[id] else { return false }
    let handle = observed ? handle(byteCount) : nil
    // By index: an unspecialized iterator, as in a debug build, allocates, and this is done per handle.
    var index = 0
    while index < stream.subscriptions.count {
      if let observer = stream.subscriptions[index].observer {
        if let handle { observer.add(handle, topic: stream.topic) }
      } else {
        // At every handle: who was rung by the one before may have read all and be asleep again.
        stream.subscriptions[index].ring(for: id)
      }
      index += 1
    }
    return true
  }

  /// The stream of the handle that is in the buffer's first bytes.
  private func stream(_ byteCount: Int) -> StreamID? {
    let buffer = buffer
    let message = buffer.span.extracting(first: byteCount)
    // SAFETY: an array of bytes has no padding.
    return HandleCodec.stream(of: unsafe message.bytes)
  }

  private func handle(_ byteCount: Int) -> Handle? {
    let buffer = buffer
    let message = buffer.span.extracting(first: byteCount)
    // SAFETY: as above.
    return try? HandleCodec.decode(unsafe message.bytes)
  }

  func recheckIfDue() {
    let now = Clock.monotonicNanoseconds
    guard !streams.isEmpty, now &- lastRecheck >= interval else { return }
    lastRecheck = now
    interval = min(interval * 2, Self.longestRecheck)
    for subscription in subscriptions { subscription.recheck() }
  }

  /// Who listens, each once.
  var subscriptions: some Collection<SubscriptionCore> { listeners.values.lazy.map(\.subscription) }

  func close() { receiver?.close() }
}
