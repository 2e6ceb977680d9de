import BusProtocol
import Testing
import Vocabulary

@testable import PoolNode

/// Who may do what, by the access list: what is denied is refused by an answer, and the conversation goes on.
@Suite struct AccessTests {
  private let camera = Peer(userID: 1000, groupIDs: [1000])
  private let viewer = Peer(userID: 1001, groupIDs: [1001, 77])
  private let stranger = Peer(userID: 1002, groupIDs: [1002])

  private func world(_ rules: String...) throws -> NodeWorld {
    let access = AccessList(try rules.map { try AccessRule($0) })
    return NodeWorld { $0.access = access }
  }

  @Test func withoutAListWhoeverConnectsMayDoAll() throws {
    var world = NodeWorld()
    let client = world.join("any", stranger)
    _ = try world.openPublisher(client, "camera/front")
    _ = try world.subscribe(client, "**")
    #expect(world.tell(client, .inspect(request: 1)).refusal(to: client) == nil)
  }

  @Test func whatNoRuleAllowsIsRefusedInWordsAndTheClientStays() throws {
    var world = try world(
      "allow publish camera/** to user:1000", "allow subscribe camera/** to group:77")
    let (publisher, reader, other) = (
      world.join("camera", camera), world.join("viewer", viewer), world.join("other", stranger)
    )
    _ = try world.openPublisher(publisher, "camera/front")
    _ = try world.subscribe(reader, "camera/*")

    let open = OpenPublisher(
      request: 7, topic: try TopicName("camera/front"), whenFull: .fail, retention: nil)
    let denials = [
      (reader, world.tell(reader, .openPublisher(open)), "publish"),
      (publisher, world.tell(publisher, .subscribe(.test("camera/front"))), "subscribe"),
      (other, world.tell(other, .subscribe(.test("camera/**"))), "subscribe"),
      (other, world.tell(other, .inspect(request: 9)), "inspect"),
    ]
    for (client, actions, action) in denials {
      let refusal = try #require(actions.refusal(to: client))
      #expect(refusal.code == .notPermitted && refusal.request > 0)
      #expect(refusal.message.contains("may not \(action)") && refusal.message.contains("allow \(action)"))
      #expect(actions.count == 1)
    }
  }

  @Test func theFirstRuleThatFitsDecides() throws {
    var world = try world(
      "deny publish camera/secret/** to everyone", "allow publish camera/** to user:1000 group:77",
      "deny publish camera/open to everyone", "allow publish ** to user:1002")
    let attempts = [
      (camera, "camera/front", true), (camera, "camera/secret/one", false), (camera, "camera/open", true),
      (camera, "lidar", false), (viewer, "camera/open", true), (stranger, "camera/open", false),
      (stranger, "lidar", true),
    ]
    for (peer, topic, allowed) in attempts {
      let client = world.join("client", peer)
      let opened = try? world.openPublisher(client, topic)
      #expect((opened != nil) == allowed, "\(peer) \(topic)")
    }
  }

  @Test func aSubscriptionIsHandedWhatItMayReadAndNothingElse() throws {
    var world = try world(
      "allow publish ** to user:1000", "deny subscribe camera/secret to everyone",
      "allow subscribe camera/** to user:1001")
    let (publisher, reader) = (world.join("camera", camera), world.join("viewer", viewer))
    let before = try world.openPublisher(publisher, "camera/front")
    let secret = try world.openPublisher(publisher, "camera/secret")
    let lidar = try world.openPublisher(publisher, "lidar")

    let joining = world.tell(reader, .subscribe(.test("**")))
    let subscription = try #require(joining.subscribed)
    let after = try world.openPublisher(publisher, "camera/rear")
    for (stream, isReadable) in [(before, true), (secret, false), (lidar, false), (after, true)] {
      let segment = try world.lease(publisher, stream)
      let actions = world.tell(publisher, .segmentReady(segment))
      #expect(actions.contains { $0.message(to: reader)?.isHanding == true } == isReadable, "\(stream)")
      #expect(
        world.core.ledger.promisedSegments(of: stream, to: subscription).contains(segment) == isReadable, "\(stream)")
    }
    let introduced = joining.compactMap { action -> StreamID? in
      guard case .streamIntroduced(let stream)? = action.message(to: reader) else { return nil }
      return stream.stream
    }
    #expect(introduced == [before])
    // Nor does a publisher ring who may not listen.
    let joined = joining.compactMap { action -> StreamID? in
      guard case .subscriberJoined(let joined)? = action.message(to: publisher) else { return nil }
      return joined.stream
    }
    #expect(joined == [before])
  }

  @Test func inspectionShowsTheTopicsOneMayInspectAndSumsUpThePool() throws {
    var world = try world(
      "allow publish ** to user:1000", "allow subscribe ** to user:1001", "allow inspect camera/** to user:1001")
    let (publisher, reader) = (world.join("camera", camera), world.join("viewer", viewer))
    let hidden = world.join("hidden", camera)
    for (client, topic) in [(publisher, "camera/front"), (hidden, "lidar")] {
      let stream = try world.openPublisher(client, topic)
      _ = try world.lease(client, stream)
    }
    _ = try world.subscribe(reader, "camera/front")
    let snapshot = world.inspect(reader)
    let books = try #require(snapshot)
    #expect(books.topics.map(\.topic.text) == ["camera/front"])
    #expect(books.segments.map(\.topic.text) == ["camera/front"] && books.streams.count == 1)
    #expect(Set(books.clients.map(\.client)) == [publisher, reader])
    #expect(books.holders.allSatisfy { $0.client == publisher || $0.client == reader })
    #expect(books.users.map(\.userID) == [1000, 1001])
    #expect(books.pool.leased == 128 << 10, "the pool's sums are whole")
  }

  @Test func whoMayInspectSomeTopicsSeesWhoSubscribesToThem() throws {
    var world = try world(
      "allow subscribe ** to user:1000", "deny inspect camera/secret to user:1001",
      "allow inspect camera/* to user:1001")
    let (subscriber, reader) = (world.join("camera", camera), world.join("viewer", viewer))
    // Whether or not there is such a topic yet.
    for pattern in ["camera/front", "*/front", "**", "lidar", "camera/secret"] {
      _ = try world.subscribe(subscriber, pattern)
    }
    let seen = world.inspect(reader)?.subscriptions.map(\.pattern.text)
    #expect(seen == ["camera/front", "*/front", "**"])
  }

  // MARK: - Quotas and limits

  @Test func theBooksSayWhatEachUserHasAndMayHave() throws {
    let rule = UserQuotaRule(principals: [.user(1000)], quota: UserQuota(bytes: 1 << 20, segments: 9, subscriptions: 5))
    var world = NodeWorld { $0.userQuotas = [rule] }
    let (publisher, other) = (world.join("camera", camera), world.join("viewer", stranger))
    let stream = try world.openPublisher(publisher, "camera/front")
    _ = try world.lease(publisher, stream)
    _ = try world.subscribe(publisher, "camera/*")
    _ = try world.subscribe(other, "camera/*")
    let camera = UserRow(
      userID: 1000, clients: 1, clientQuota: nil, subscriptions: 1, subscriptionQuota: 5, segments: 1, segmentQuota: 9,
      bytes: 64 << 10, byteQuota: 1 << 20)
    let viewer = UserRow(
      userID: stranger.userID, clients: 1, clientQuota: nil, subscriptions: 1, subscriptionQuota: nil, segments: 0,
      segmentQuota: nil, bytes: 0, byteQuota: nil)
    let users = world.inspect(other)?.users
    #expect(users == [camera, viewer].sorted { $0.userID < $1.userID })
  }

  @Test func aUsersClientsAreCounted() throws {
    let rule = UserQuotaRule(principals: [.user(1000)], quota: UserQuota(clients: 2))
    var world = NodeWorld { $0.userQuotas = [rule] }
    let clients = (0..<3).map { _ in world.connect(camera) }
    let actions = world.core.admit(clients[2])
    #expect(actions.refusal(to: clients[2])?.code == .limit)
    #expect(actions.contains { $0.isDisconnect(of: clients[2]) })
    // Another user's are not; and who leaves makes room.
    let other = world.connect(stranger)
    #expect(world.core.admit(other) == [])
    _ = world.leave(clients[2])
    _ = world.leave(clients[0])
    let next = world.connect(camera)
    #expect(world.core.admit(next) == [])
  }

  @Test func aUsersSubscriptionsAndDescriptorsAreCounted() throws {
    for quota in [UserQuota(subscriptions: 3), UserQuota(descriptors: 2 * 2 + 3)] {
      let rule = UserQuotaRule(principals: [.everyone], quota: quota)
      var world = NodeWorld { $0.userQuotas = [rule] }
      let (first, second) = (world.join("one", camera), world.join("two", camera))
      let subscription = try world.subscribe(first, "a")
      _ = try world.subscribe(first, "b")
      _ = try world.subscribe(second, "c")
      let refusal = world.tell(second, .subscribe(.test("d"))).refusal(to: second)
      #expect(refusal?.code == .limit && refusal?.message.contains("user 1000") == true)
      let other = world.join("three", stranger)
      _ = try world.subscribe(other, "d")
      _ = world.tell(first, .unsubscribe(subscription))
      _ = try world.subscribe(second, "d")
    }
  }

  @Test func aUsersMemoryIsCountedAndTheRefusalNamesTheQuota() throws {
    let rule = UserQuotaRule(principals: [.group(1000)], quota: UserQuota(bytes: 64 << 10))
    var world = NodeWorld { $0.userQuotas = [rule] }
    let client = world.join("camera", camera)
    let stream = try world.openPublisher(client, "camera/front", whenFull: .fail)
    _ = try world.lease(client, stream)
    let wish = RequestLease(request: 8, stream: stream, capacity: 8192, isAhead: false)
    let refusal = world.tell(client, .requestLease(wish)).refusal(to: client)
    #expect(refusal?.code == .poolExhausted && refusal?.request == 8)
    for word in ["user 1000", "65536", "8192", "camera/front"] {
      #expect(refusal?.message.contains(word) == true, "\(word): \(refusal?.message ?? "")")
    }
    // Another user has a quota of its own, which is none here.
    let other = world.join("other", stranger)
    _ = try world.lease(other, try world.openPublisher(other, "lidar"), capacity: 512 << 10)
  }

  @Test func aPublisherIsToldWhatItsUserMayHold() throws {
    let rule = UserQuotaRule(principals: [.everyone], quota: UserQuota(bytes: 128 << 10))
    var world = NodeWorld { $0.userQuotas = [rule] }
    let client = world.join()
    let open = OpenPublisher(request: 1, topic: try TopicName("a"), whenFull: .fail, retention: nil)
    let quota = world.tell(client, .openPublisher(open)).compactMap { action -> UInt64? in
      guard case .publisherOpened(let opened)? = action.message(to: client) else { return nil }
      return opened.quota
    }
    #expect(quota == [128 << 10])
  }

  @Test func oneClientCannotFillTheNodesMemory() throws {
    var world = NodeWorld(contribution: 64 << 10) {
      $0.clientLimits = ClientLimits(publishers: 4, subscriptions: 3, waitingLeases: 5)
    }
    let client = world.join()
    let stream = try world.openPublisher(client, "a")
    for _ in 0..<3 { _ = try world.openPublisher(client, "b") }
    for _ in 0..<3 { _ = try world.subscribe(client, "c") }
    _ = try world.lease(client, stream)
    func lease(_ request: UInt64) -> ClientMessage {
      .requestLease(RequestLease(request: request, stream: stream, capacity: 8192, isAhead: false))
    }
    for request in UInt64(1)...5 { #expect(world.tell(client, lease(request)).refusal(to: client) == nil) }
    let open = OpenPublisher(request: 9, topic: try TopicName("d"), whenFull: .fail, retention: nil)
    for message in [lease(9), .openPublisher(open), .subscribe(.test("d"))] {
      let actions = world.tell(client, message)
      #expect(actions.refusal(to: client)?.code == .limit, "\(message)")
      #expect(actions.count == 1, "the conversation goes on")
    }
    _ = world.tell(client, .cancelLease(request: 3))
    #expect(world.tell(client, lease(10)).refusal(to: client) == nil)
  }

  // MARK: - Rules as texts

  @Test func rulesAreReadAsTheyAreWritten() throws {
    let rule = try AccessRule("allow publish  subscribe camera to rear/* to user:0 group:12 everyone")
    #expect(rule.allows && rule.actions == [.publish, .subscribe])
    #expect(rule.pattern.text == "camera to rear/*")
    #expect(rule.principals == [.user(0), .group(12), .everyone])
    #expect(try AccessRule("deny inspect ** to user:root").principals == [.user(0)])
    #expect(try AccessRule("deny inspect ** to group:root").principals == [.group(0)])
  }

  @Test(arguments: [
    ("", "begins with allow or deny"), ("permit publish a to everyone", "begins with allow or deny"),
    ("allow camera/** to everyone", "must say what"), ("allow publish to everyone", "to whom"),
    ("allow publish camera/**", "to whom"), ("allow publish camera/** to", "to whom"),
    ("allow publish camera/**/x to everyone", "not a valid topic"), ("allow publish a to camera", "is nobody"),
    ("allow publish a to user:", "is nobody"), ("allow publish a to user:no-such-user-here", "has no user"),
    ("allow publish a to group:no-such-group-here", "has no group"), ("allow publish a to user:4294967296", "no user"),
  ])
  func rulesThatAreNoneAreRefusedInWords(text: String, part: String) {
    #expect { try AccessRule(text) } throws: { "\($0)".contains(part) }
  }
}
