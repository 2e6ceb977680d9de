import BusProtocol
import Platform
import Vocabulary

// What the node says, and who is told of it.

extension ClientLoop {
  /// - Returns: why the connection is over, or nil.
  func dispatch(
    _ message: NodeMessage, _ descriptor: consuming OwnedDescriptor?, _ doorbells: Doorbells
  ) -> BusError? {
    switch message {
    case .welcome(let welcome):
      if case .rejoining = state.withLock({ $0.phase }) { return rejoin(welcome) }
      membership.welcomed(welcome)
      answer(0, message)
    case .publisherOpened(let opened):
      if !answer(opened.request, message) { send(.closePublisher(opened.stream)) }
    case .subscribed(let subscribed):
      if !answer(subscribed.request, message) { send(.unsubscribe(subscribed.subscription)) }
    case .snapshot(let part):
      answer(part.request, message)

    case .refusal(let refusal):
      let error = BusError(refusal)
      guard refusal.request != 0 else { return error }
      if let publisher = state.withLock({ $0.leases.removeValue(forKey: refusal.request) })?.publisher {
        publisher.leaseRefused(refusal.request, error)
      } else {
        state.withLock { $0.answers.removeValue(forKey: refusal.request) }?.fail(error)
      }
    case .leaseGranted(let granted):
      if let publisher = state.withLock({ $0.leases.removeValue(forKey: granted.request) })?.publisher {
        publisher.leaseGranted(granted, descriptor: descriptor)
      } else if !granted.warm {
        // Its publisher was closed meanwhile, as the node will hear. What it has mapped, it reports itself.
        send(.segmentUnmapped(granted.segment.id, by: nil))
      }
    case .giveBack(let stream): publisher(stream)?.giveBack()
    case .retention(let stream, let isRetained): publisher(stream)?.retain(isRetained)
    case .quota(let stream, let bytes): publisher(stream)?.allow(bytes)
    case .segmentPromised(let promised): publisher(promised.stream)?.segmentPromised(promised)
    case .forgetSegment(let segment, .none):
      for publisher in state.withLock({ Array($0.publishers.values) }) { publisher.forget(segment) }

    case .subscriberJoined(let joined):
      publisher(joined.stream)?.subscriberJoined(joined, wakePage: descriptor)
    case .subscriberLeft(let subscription, let stream, let departure):
      publisher(stream)?.subscriberLeft(subscription, departure)

    case .streamIntroduced(let introduced):
      guard let subscription = subscription(introduced.subscription) else { break }
      subscription.introduce(introduced)
      doorbells.listen(to: introduced, for: subscription)
    case .streamEnded(let ended):
      if let topic = subscription(ended.subscription)?.streamEnded(ended) {
        membership.tell(.streamLost(topic: topic, stream: ended.stream))
      }
      doorbells.stop(ended.stream, for: ended.subscription)
    case .segmentHanded(let handed):
      if !handed.warm, descriptor == nil {
        // What was promised can't be read, and must not be waited for: the node takes back what this client held.
        return .refused("a segment came without its memory: this process has no descriptor left; raise its limit")
      }
      if let subscription = subscription(handed.subscription) {
        subscription.hand(handed, descriptor: descriptor)
      } else {
        send(.segmentUnmapped(handed.segment.id, by: handed.subscription))
      }
    case .segmentSealed(let sealed): subscription(sealed.subscription)?.segmentSealed(sealed)
    case .forgetSegment(let segment, .some(let id)): subscription(id)?.forget(segment)
    case .lagged(let lagged): subscription(lagged.subscription)?.lagged(lagged)
    }
    return nil
  }

  @discardableResult
  private func answer(_ request: UInt64, _ message: NodeMessage) -> Bool {
    // Taken out meanwhile, so that a cancellation can't answer the same request a second time.
    guard let answer = state.withLock({ $0.answers.removeValue(forKey: request) }) else { return false }
    if !answer.take(message) { state.withLock { $0.answers[request] = answer } }
    return true
  }

  private func publisher(_ stream: StreamID) -> PublisherCore? {
    state.withLock { $0.publishers[stream] }
  }

  private func subscription(_ id: SubscriptionID) -> SubscriptionCore? {
    state.withLock { $0.subscriptions[id] }
  }
}
