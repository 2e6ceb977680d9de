import Vocabulary

extension SnapshotPart {
  init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(request: try fields.id("request"))
    isLast = try fields.bool("last")
    pool = if let pool = try fields.submessage("pool") { try PoolRow(pool) } else { nil }
    users = try fields.submessages("users", UserRow.init(_:))
    clients = try fields.submessages("clients", ClientRow.init(_:))
    topics = try fields.submessages("topics", TopicRow.init(_:))
    streams = try fields.submessages("streams", StreamRow.init(_:))
    subscriptions = try fields.submessages("subscriptions", SubscriptionRow.init(_:))
    segments = try fields.submessages("segments", SegmentRow.init(_:))
    holders = try fields.submessages("holders", HolderRow.init(_:))
    guard isLast == (pool != nil) else {
      throw fields.invalid("pool", isLast ? "is missing in the last part" : "is there before the last part")
    }
  }

  func write(to fields: MessageWriter) throws(ProtocolError) {
    guard isLast == (pool != nil) else { throw fields.invalid("pool", "belongs into the last part, and only there") }
    try fields.putID("request", request)
    try fields.put("last", isLast)
    if let pool { try fields.put("pool", pool.write) }
    try fields.put("users", users) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("clients", clients) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("topics", topics) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("streams", streams) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("subscriptions", subscriptions) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("segments", segments) { row, fields throws(ProtocolError) in try row.write(to: fields) }
    try fields.put("holders", holders) { row, fields throws(ProtocolError) in try row.write(to: fields) }
  }
}

extension MessageReader {
  fileprivate func processID(_ name: StaticString) throws(ProtocolError) -> Int32 {
    guard let id = Int32(exactly: try uint64(name)) else { throw invalid(name, "is no process id") }
    return id
  }

  fileprivate func userID() throws(ProtocolError) -> UInt32 {
    guard let id = UInt32(exactly: try uint64("uid")) else { throw invalid("uid", "is no user id") }
    return id
  }

  fileprivate func quota(_ name: StaticString) throws(ProtocolError) -> UInt64? {
    let quota = try uint64(name)
    return quota == .max ? nil : quota
  }
}

extension MessageWriter {
  fileprivate func put(processID: Int32, _ name: StaticString) throws(ProtocolError) {
    guard let id = UInt64(exactly: processID) else { throw invalid(name, "is negative") }
    try put(name, id)
  }

  fileprivate func put(quota: UInt64?, _ name: StaticString) throws(ProtocolError) { try put(name, quota ?? .max) }
}

extension PoolRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      contribution: try fields.uint64("contribution"), free: try fields.uint64("free"),
      leased: try fields.uint64("leased"), sealed: try fields.uint64("sealed"),
      retained: try fields.uint64("retained"), warm: try fields.uint64("warm"), pinned: try fields.uint64("pinned"),
      segmentsLeased: try fields.uint64("segments_leased"), segmentsRecycled: try fields.uint64("segments_recycled"),
      segmentsReclaimed: try fields.uint64("segments_reclaimed"),
      messagesLagged: try fields.uint64("messages_lagged"),
      hugePages: try fields.text("huge_pages", limit: maximumTextByteCount),
      waitingLeases: try fields.uint64("waiting_leases"), nodeProcessID: try fields.processID("node_pid"),
      uptimeNanoseconds: try fields.uint64("uptime_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put("contribution", contribution)
    try fields.put("free", free)
    try fields.put("leased", leased)
    try fields.put("sealed", sealed)
    try fields.put("retained", retained)
    try fields.put("warm", warm)
    try fields.put("pinned", pinned)
    try fields.put("segments_leased", segmentsLeased)
    try fields.put("segments_recycled", segmentsRecycled)
    try fields.put("segments_reclaimed", segmentsReclaimed)
    try fields.put("messages_lagged", messagesLagged)
    try fields.put("huge_pages", hugePages.cut(toByteCount: maximumTextByteCount), limit: maximumTextByteCount)
    try fields.put("waiting_leases", waitingLeases)
    try fields.put(processID: nodeProcessID, "node_pid")
    try fields.put("uptime_ns", uptimeNanoseconds)
  }
}

extension ClientRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    let userID = try fields.userID()
    self.init(
      client: try fields.id("client"), name: try fields.text("name", limit: Hello.maximumNameByteCount),
      processID: try fields.processID("pid"), userID: userID, joinedNanosecondsAgo: try fields.uint64("joined_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("client", client)
    try fields.put("name", name, limit: Hello.maximumNameByteCount)
    try fields.put(processID: processID, "pid")
    try fields.put("uid", UInt64(userID))
    try fields.put("joined_ns", joinedNanosecondsAgo)
  }
}

extension UserRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      userID: try fields.userID(), clients: try fields.uint64("clients"),
      clientQuota: try fields.quota("client_quota"),
      subscriptions: try fields.uint64("subscriptions"), subscriptionQuota: try fields.quota("subscription_quota"),
      segments: try fields.uint64("segments"), segmentQuota: try fields.quota("segment_quota"),
      bytes: try fields.uint64("bytes"), byteQuota: try fields.quota("byte_quota"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put("uid", UInt64(userID))
    try fields.put("clients", clients)
    try fields.put(quota: clientQuota, "client_quota")
    try fields.put("subscriptions", subscriptions)
    try fields.put(quota: subscriptionQuota, "subscription_quota")
    try fields.put("segments", segments)
    try fields.put(quota: segmentQuota, "segment_quota")
    try fields.put("bytes", bytes)
    try fields.put(quota: byteQuota, "byte_quota")
  }
}

extension TopicRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      topic: try fields.topic(), publishers: try fields.uint64("publishers"),
      subscriptions: try fields.uint64("subscriptions"), segments: try fields.uint64("segments"),
      bytes: try fields.uint64("bytes"), quota: try fields.uint64("quota"),
      retention: try fields.retention() ?? .none)
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put(topic)
    try fields.put("publishers", publishers)
    try fields.put("subscriptions", subscriptions)
    try fields.put("segments", segments)
    try fields.put("bytes", bytes)
    try fields.put("quota", quota)
    try fields.put(retention)
  }
}

extension StreamRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      stream: try fields.id("stream"), client: try fields.optionalID("client"), topic: try fields.topic(),
      handleEndpoint: try fields.text("handle_endpoint", limit: maximumTextByteCount),
      lastSequence: try fields.uint64("last_sequence"), segments: try fields.uint64("segments"),
      bytes: try fields.uint64("bytes"), openedNanosecondsAgo: try fields.uint64("opened_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("stream", stream)
    try fields.putOptionalID("client", client)
    try fields.put(topic)
    try fields.put("handle_endpoint", handleEndpoint, limit: maximumTextByteCount)
    try fields.put("last_sequence", lastSequence)
    try fields.put("segments", segments)
    try fields.put("bytes", bytes)
    try fields.put("opened_ns", openedNanosecondsAgo)
  }
}

extension SubscriptionRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      subscription: try fields.id("subscription"), client: try fields.id("client"), pattern: try fields.pattern(),
      observes: try fields.bool("observes"), backlogMessages: try fields.uint64("backlog_messages"),
      backlogBytes: try fields.uint64("backlog_bytes"), backlogSegments: try fields.uint64("backlog_segments"),
      laggedMessages: try fields.uint64("lagged_messages"), joinedNanosecondsAgo: try fields.uint64("joined_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("subscription", subscription)
    try fields.putID("client", client)
    try fields.put(pattern)
    try fields.put("observes", observes)
    try fields.put("backlog_messages", backlogMessages)
    try fields.put("backlog_bytes", backlogBytes)
    try fields.put("backlog_segments", backlogSegments)
    try fields.put("lagged_messages", laggedMessages)
    try fields.put("joined_ns", joinedNanosecondsAgo)
  }
}

extension SegmentRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    let segment = try fields.segment()
    self.init(
      segment: segment.id, epoch: segment.epoch, state: try fields.enumeration("state"),
      capacity: try fields.capacity(), stream: try fields.id("stream"), topic: try fields.topic(),
      messages: try fields.uint64("messages"), leasedNanosecondsAgo: try fields.uint64("leased_ns"),
      stateNanosecondsAgo: try fields.uint64("state_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.put(SegmentIdentity(id: segment, epoch: epoch))
    try fields.put("state", state)
    try fields.put(capacity: capacity)
    try fields.putID("stream", stream)
    try fields.put(topic)
    try fields.put("messages", messages)
    try fields.put("leased_ns", leasedNanosecondsAgo)
    try fields.put("state_ns", stateNanosecondsAgo)
  }
}

extension HolderRow {
  fileprivate init(_ fields: MessageReader) throws(ProtocolError) {
    self.init(
      segment: try fields.id("segment"), client: try fields.optionalID("client"),
      subscription: try fields.optionalID("subscription"), reason: try fields.enumeration("reason"),
      sinceNanosecondsAgo: try fields.uint64("since_ns"), remainingNanoseconds: try fields.uint64("remaining_ns"))
  }

  fileprivate func write(to fields: MessageWriter) throws(ProtocolError) {
    try fields.putID("segment", segment)
    try fields.putOptionalID("client", client)
    try fields.putOptionalID("subscription", subscription)
    try fields.put("reason", reason)
    try fields.put("since_ns", sinceNanosecondsAgo)
    try fields.put("remaining_ns", remainingNanoseconds)
  }
}
