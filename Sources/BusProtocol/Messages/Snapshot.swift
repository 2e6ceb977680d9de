import Vocabulary

/// The node's books at one moment.
public struct Snapshot: Hashable, Codable, Sendable {
  public var pool: PoolRow
  public var users: [UserRow]
  public var clients: [ClientRow]
  public var topics: [TopicRow]
  public var streams: [StreamRow]
  public var subscriptions: [SubscriptionRow]
  public var segments: [SegmentRow]
  public var holders: [HolderRow]

  public init(
    pool: PoolRow, users: [UserRow] = [], clients: [ClientRow] = [], topics: [TopicRow] = [],
    streams: [StreamRow] = [], subscriptions: [SubscriptionRow] = [], segments: [SegmentRow] = [],
    holders: [HolderRow] = []
  ) {
    self.pool = pool
    self.users = users
    self.clients = clients
    self.topics = topics
    self.streams = streams
    self.subscriptions = subscriptions
    self.segments = segments
    self.holders = holders
  }

  /// The answer to ``ClientMessage/inspect(request:)``, in parts that fit a packet each.
  public func split(request: UInt64) -> [SnapshotPart] {
    var parts: [SnapshotPart] = []
    var part = SnapshotPart(request: request)
    func add<Row>(_ rows: [Row], to list: WritableKeyPath<SnapshotPart, [Row]>) {
      for row in rows {
        if part.rowCount == SnapshotPart.maximumRowCount {
          parts.append(part)
          part = SnapshotPart(request: request)
        }
        part[keyPath: list].append(row)
      }
    }
    add(users, to: \.users)
    add(clients, to: \.clients)
    add(topics, to: \.topics)
    add(streams, to: \.streams)
    add(subscriptions, to: \.subscriptions)
    add(segments, to: \.segments)
    add(holders, to: \.holders)
    part.pool = pool
    part.isLast = true
    return parts + [part]
  }
}

/// One packet's share of a ``Snapshot``.
public struct SnapshotPart: Hashable, Sendable {
  /// A row's texts have at most 510 bytes and all else in it takes at most 100, so that so many rows, and the pool's,
  /// always fit a packet.
  public static let maximumRowCount = 96

  public var request: UInt64
  public var isLast = false
  /// In the last part.
  public var pool: PoolRow?
  public var users: [UserRow] = []
  public var clients: [ClientRow] = []
  public var topics: [TopicRow] = []
  public var streams: [StreamRow] = []
  public var subscriptions: [SubscriptionRow] = []
  public var segments: [SegmentRow] = []
  public var holders: [HolderRow] = []

  public init(request: UInt64) { self.request = request }

  public var rowCount: Int {
    users.count + clients.count + topics.count + streams.count + subscriptions.count + segments.count + holders.count
  }
}

/// Puts a ``Snapshot`` together from its parts.
public struct SnapshotAssembler: Sendable {
  private var rows = SnapshotPart(request: 0)

  public init() {}

  /// - Returns: the snapshot, once its last part is added.
  public mutating func add(_ part: SnapshotPart) -> Snapshot? {
    rows.users += part.users
    rows.clients += part.clients
    rows.topics += part.topics
    rows.streams += part.streams
    rows.subscriptions += part.subscriptions
    rows.segments += part.segments
    rows.holders += part.holders
    guard part.isLast, let pool = part.pool else { return nil }
    return Snapshot(
      pool: pool, users: rows.users, clients: rows.clients, topics: rows.topics, streams: rows.streams,
      subscriptions: rows.subscriptions, segments: rows.segments, holders: rows.holders)
  }
}
