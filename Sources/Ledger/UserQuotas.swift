import Vocabulary

// How much of the pool a user's publishers may hold, all together.

/// What bounds a user's publishers; nil is no bound.
public struct UserLimit: Hashable, Sendable {
  public var bytes: UInt64?
  public var segments: UInt64?

  public init(bytes: UInt64? = nil, segments: UInt64? = nil) {
    self.bytes = bytes
    self.segments = segments
  }

  public static let none = UserLimit()
}

/// A user with publishers, or with segments of publishers that are gone.
struct UserRecord: Sendable {
  /// As it was told with the user's first stream.
  let limit: UserLimit
  var streams: Set<StreamID> = []
  var bytes: UInt64 = 0
  var segments: UInt64 = 0
  /// It came back from an earlier node with more than its quota: until it has given that back, it may not have more.
  var adopted: (bytes: UInt64, segments: UInt64) = (0, 0)

  var isBeyond: Bool {
    bytes > max(limit.bytes ?? .max, adopted.bytes) || segments > max(limit.segments ?? .max, adopted.segments)
  }
}

/// Whether there is room for a lease; if not, what is short, and how much of it.
struct Room: Sendable {
  enum Bound: Hashable, Sendable {
    case pool
    case topic(TopicName)
    case user(UserID)
  }

  /// What is missing: bytes, or the right to a further segment.
  var bytes: UInt64 = 0
  var segments: UInt64 = 0
  var bound = Bound.pool

  var isEnough: Bool { bytes == 0 && segments == 0 }
}

extension Ledger {
  /// What a lease lacks. A quota's shortage is named if the pool is short, too, as only its own topic or user can mend
  /// that.
  func room(for lease: WaitingLease) -> Room {
    func excess(_ held: UInt64, _ more: UInt64, beyond limit: UInt64?) -> UInt64 {
      guard let limit, held + more > limit else { return 0 }
      return held + more - limit
    }
    let limit = quota(of: lease.topic)
    if limit < contribution {
      let bytes = excess(topics[lease.topic]?.bytes ?? 0, lease.capacity, beyond: limit)
      if bytes > 0 { return Room(bytes: bytes, bound: .topic(lease.topic)) }
    }
    if let user = streams[lease.stream]?.user, let record = users[user] {
      let bytes = excess(record.bytes, lease.capacity, beyond: record.limit.bytes)
      let segments = excess(record.segments, 1, beyond: record.limit.segments)
      if bytes > 0 || segments > 0 { return Room(bytes: bytes, segments: segments, bound: .user(user)) }
    }
    return Room(bytes: lease.capacity > usage.free ? lease.capacity - usage.free : 0)
  }

  /// All that bounds a lease.
  func bounds(of lease: WaitingLease) -> [Room.Bound] {
    [.pool, .topic(lease.topic), .user(streams[lease.stream]?.user ?? .nobody)]
  }

  /// Whether what a stream has is of what is bounded, so that it makes room there when it is given back.
  func counts(_ stream: StreamID, towards bound: Room.Bound) -> Bool {
    switch bound {
    case .pool: true
    case .topic(let topic): streams[stream]?.topic == topic
    case .user(let user): streams[stream]?.user == user
    }
  }

  /// Whether somebody waits for memory such as the stream has: who waits at its own quota is served with that only.
  public func isWanted(_ stream: StreamID) -> Bool {
    waiting.contains { $0.bound.map { counts(stream, towards: $0) } ?? false }
  }

  /// Bytes that a segment of the stream can have at the most: what its topic or its user may hold.
  func mostBytes(of stream: StreamRecord) -> UInt64 {
    min(quota(of: stream.topic), users[stream.user]?.limit.bytes ?? contribution)
  }

  /// The same, for its publisher to know.
  public func mostBytes(of stream: StreamID) -> UInt64 {
    streams[stream].map { mostBytes(of: $0) } ?? contribution
  }

  /// What the publishers of each user hold, and may hold.
  public var userAccounts: [UserID: (segments: UInt64, bytes: UInt64, limit: UserLimit)] {
    users.mapValues { ($0.segments, $0.bytes, $0.limit) }
  }

  // MARK: - The books

  mutating func addToUser(_ stream: StreamRecord, limit: UserLimit) {
    users[stream.user, default: UserRecord(limit: limit)].streams.insert(stream.id)
  }

  /// A stream that somebody spoke of is its publisher's, with all that it has.
  mutating func give(_ id: StreamID, to user: UserID, limit: UserLimit) {
    guard let stream = streams[id], stream.user != user else { return }
    let held = stream.segments.compactMap { segments[$0] }
    for segment in held { uncountForUser(segment) }
    removeFromUser(stream)
    streams[id]?.user = user
    if let stream = streams[id] { addToUser(stream, limit: limit) }
    for segment in held { countForUser(segment) }
    noteAdopted(by: user)
  }

  mutating func removeFromUser(_ stream: StreamRecord) {
    users[stream.user]?.streams.remove(stream.id)
    if users[stream.user]?.streams.isEmpty == true { users[stream.user] = nil }
  }

  /// Counts a segment that was made for a stream.
  mutating func countForUser(_ segment: SegmentRecord) {
    guard let user = streams[segment.stream]?.user else { return }
    users[user]?.bytes += segment.capacity
    users[user]?.segments += 1
  }

  /// What a user holds of an earlier node's may be more than its quota.
  mutating func noteAdopted(by user: UserID, _ which: (UInt64, UInt64) -> UInt64 = { max($0, $1) }) {
    guard let record = users[user] else { return }
    users[user]?.adopted = (which(record.adopted.bytes, record.bytes), which(record.adopted.segments, record.segments))
  }

  /// Counts a segment no longer. Call it while its stream is known.
  mutating func uncountForUser(_ segment: SegmentRecord) {
    guard let user = streams[segment.stream]?.user else { return }
    users[user]?.bytes -= segment.capacity
    users[user]?.segments -= 1
    noteAdopted(by: user) { min($0, $1) }
  }

  /// What of the users' accounts does not add up.
  var userViolations: [String] {
    var found: [String] = []
    var held: [UserID: (bytes: UInt64, segments: UInt64)] = [:]
    for segment in segments.values {
      guard let user = streams[segment.stream]?.user else { continue }
      let sum = held[user] ?? (0, 0)
      held[user] = (sum.bytes + segment.capacity, sum.segments + 1)
    }
    for (user, record) in users {
      let sum = held[user] ?? (0, 0)
      if (record.bytes, record.segments) != sum {
        found.append(
          "\(user) is booked with \(record.bytes) bytes in \(record.segments) segments and has \(sum.bytes) in "
            + "\(sum.segments)")
      }
      if record.isBeyond {
        found.append("\(user) holds \(sum.bytes) bytes in \(sum.segments) segments, beyond its quota")
      }
      if record.streams.isEmpty { found.append("\(user) has no stream") }
      for stream in record.streams where streams[stream]?.user != user {
        found.append("\(stream) is in the account of \(user), whose it is not")
      }
    }
    for stream in streams.values where users[stream.user]?.streams.contains(stream.id) != true {
      found.append("\(stream.id) is in nobody's account")
    }
    return found
  }
}
