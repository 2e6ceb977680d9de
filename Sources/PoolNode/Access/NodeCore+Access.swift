import BusProtocol
import Ledger
import Vocabulary

// Who may do what, and how much of it. What is denied is refused by an answer; the conversation goes on.

extension NodeCore {
  /// The topics with which a client may do this.
  func topics(for client: ClientID, _ action: AccessRule.Action) -> TopicFilter {
    guard let access = configuration.access, let peer = clients[client]?.peer else { return .all }
    return access.topics(for: peer, action)
  }

  func quota(of client: ClientID) -> UserQuota {
    clients[client].map { configuration.userQuotas.quota(of: $0.peer) } ?? .unlimited
  }

  /// Lets a client in, or says why not: its user has too many already.
  func admit(_ client: ClientID) -> [NodeAction] {
    guard let peer = clients[client]?.peer else { return [] }
    let quota = quota(of: client)
    // Counted only where it matters.
    if let most = quota.clients, clientCount(of: peer.userID) > most {
      return refuse(client, .limit, "user \(peer.userID) has \(most) clients already, as many as its quota allows")
    }
    if let most = quota.descriptors, descriptorCount(of: peer.userID) > most {
      return refuse(client, .limit, describe(descriptorQuota: most, of: peer.userID))
    }
    return []
  }

  /// Why the client may not open this publisher; nil if it may.
  func objection(to open: OpenPublisher, of client: ClientID) -> Refusal? {
    func refusal(_ code: RefusalCode, _ message: String) -> Refusal {
      Refusal(request: open.request, code: code, message: message)
    }
    guard topics(for: client, .publish).allows(open.topic) else {
      return refusal(.notPermitted, notPermitted(client, "publish", open.topic.text))
    }
    return excessOfPublishers(of: client).map { refusal(.limit, $0) }
  }

  /// Why the client may have no further publisher; nil if it may.
  func excessOfPublishers(of client: ClientID) -> String? {
    let most = configuration.clientLimits.publishers
    guard UInt64(clients[client]?.streams.count ?? 0) >= most else { return nil }
    return "a client can have \(most) publishers here: close some, or use another client"
  }

  /// Why the client may not subscribe so; nil if it may, to as much as it may read.
  func objection(to wish: Subscribe, of client: ClientID) -> Refusal? {
    func refusal(_ code: RefusalCode, _ message: String) -> Refusal {
      Refusal(request: wish.request, code: code, message: message)
    }
    guard topics(for: client, .subscribe).mayAllow(wish.pattern) else {
      return refusal(.notPermitted, notPermitted(client, "subscribe", wish.pattern.text))
    }
    return excessOfSubscriptions(of: client).map { refusal(.limit, $0) }
  }

  /// Why the client may have no further subscription; nil if it may.
  func excessOfSubscriptions(of client: ClientID) -> String? {
    guard let record = clients[client] else { return nil }
    let most = configuration.clientLimits.subscriptions
    if UInt64(record.subscriptions.count) >= most {
      return "a client can have \(most) subscriptions here: close some, or use another client"
    }
    let quota = quota(of: client)
    if let most = quota.subscriptions, subscriptionCount(of: record.peer.userID) >= most {
      return "user \(record.peer.userID) has \(most) subscriptions already, as many as its quota allows: close some"
    }
    if let most = quota.descriptors, descriptorCount(of: record.peer.userID) >= most {
      return describe(descriptorQuota: most, of: record.peer.userID)
    }
    return nil
  }

  /// Why the subscription may not come back with a further cursor; nil if it may.
  func excessOfCursors(of subscription: SubscriptionID) -> String? {
    let most = configuration.clientLimits.cursors
    guard UInt64(subscriptions[subscription]?.told.count ?? 0) >= most else { return nil }
    return "a subscription can come back from \(most) streams here: divide its pattern among several, and connect anew"
  }

  /// Why the client's lease is not taken up; nil if it is.
  func objection(to wish: RequestLease, of client: ClientID) -> Refusal? {
    let most = configuration.clientLimits.waitingLeases
    guard UInt64(leases.count) >= most, UInt64(leases.values.count { $0.client == client }) >= most else { return nil }
    return Refusal(
      request: wish.request, code: .limit,
      message: "a client can have \(most) leases wait here: let some be granted or cancel them first")
  }

  /// Why the client may not look at the books; nil if it may, at as much as concerns the topics it may inspect.
  func objection(toInspection request: UInt64, of client: ClientID) -> Refusal? {
    guard !topics(for: client, .inspect).mayAllow(.everything) else { return nil }
    return Refusal(request: request, code: .notPermitted, message: notPermitted(client, "inspect", "any topic"))
  }

  /// How many more descriptors may wait for the user of this client to read them; nil if there is no quota.
  func unreadDescriptorQuota(of client: ClientID) -> UInt64? {
    guard let user = clients[client]?.peer.userID, let most = quota(of: client).descriptors else { return nil }
    let held = descriptorCount(of: user)
    return most > held ? most - held : 0
  }

  // MARK: - Counting

  private func clientCount(of user: UInt32) -> UInt64 { UInt64(clients.values.count { $0.peer.userID == user }) }

  func subscriptionCount(of user: UInt32) -> UInt64 {
    clients.values.reduce(0) { $0 + ($1.peer.userID == user ? UInt64($1.subscriptions.count) : 0) }
  }

  /// What the node holds for the user's clients: socket and process of each, and their subscriptions' wake pages.
  private func descriptorCount(of user: UInt32) -> UInt64 {
    2 * clientCount(of: user) + subscriptionCount(of: user)
  }

  // MARK: - In words

  func notPermitted(_ client: ClientID, _ action: String, _ what: String) -> String {
    let user = clients[client].map { "user \($0.peer.userID)" } ?? "this user"
    return "\(user) may not \(action) \(what): the node's access list has no rule that allows it; "
      + "ask whoever runs the node for one, as in 'allow \(action) \(what == "any topic" ? "**" : what) to user:NAME'"
  }

  private func describe(descriptorQuota most: UInt64, of user: UInt32) -> String {
    "the node holds descriptors for user \(user), as many as its quota of \(most) allows: close clients or subscriptions"
  }
}

extension UserQuota {
  /// What the ledger counts.
  var limit: UserLimit { UserLimit(bytes: bytes, segments: segments) }
}
