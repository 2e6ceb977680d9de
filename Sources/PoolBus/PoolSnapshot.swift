import BusProtocol

/// The node's books at one moment: every byte of the pool, and why it is held.
public typealias PoolSnapshot = BusProtocol.Snapshot
public typealias PoolRow = BusProtocol.PoolRow
public typealias UserRow = BusProtocol.UserRow
public typealias ClientRow = BusProtocol.ClientRow
public typealias TopicRow = BusProtocol.TopicRow
public typealias StreamRow = BusProtocol.StreamRow
public typealias SubscriptionRow = BusProtocol.SubscriptionRow
public typealias SegmentRow = BusProtocol.SegmentRow
public typealias HolderRow = BusProtocol.HolderRow
