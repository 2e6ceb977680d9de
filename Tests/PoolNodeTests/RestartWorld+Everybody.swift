import BusProtocol
import Vocabulary

@testable import PoolNode

// What all clients do, and how they all stand.

extension RestartWorld {
  /// A publisher and a subscriber of one topic, each a client of its own.
  mutating func pair() throws -> (publisher: Int, subscriber: Int) {
    let (publisher, subscriber) = (join(), join())
    ask(subscriber, .subscription(try TopicPattern("**")))
    ask(publisher, .publisher(try TopicName("a")))
    settle()
    return (publisher, subscriber)
  }

  /// Everybody hears all that is on its way.
  mutating func settle() {
    var goesOn = true
    while goesOn {
      goesOn = false
      finishCreation()
      for name in clients.keys.sorted() where clients[name]?.inbox.isEmpty == false {
        hear(name)
        goesOn = true
      }
    }
  }

  mutating func publishAll(finishing: Bool = true, only: Int? = nil) {
    for name in clients.keys.sorted() where only == nil || name == only {
      for stream in clients[name]?.publishers.keys.sorted() ?? [] { publish(name, stream) }
    }
    if finishing { settle() }
  }

  /// Everybody reads all that is there.
  mutating func readAll() {
    var goesOn = true
    while goesOn {
      settle()
      goesOn = false
      for name in clients.keys.sorted() {
        for id in clients[name]?.readers.keys.sorted() ?? [] {
          dropBorrowed(name, id)
          for stream in clients[name]?.readers[id]?.cursors.keys.sorted() ?? [] {
            while read(name, id, stream) { goesOn = true }
          }
        }
      }
    }
  }

  /// The books, as a client sees them.
  func books(as name: Int) -> Snapshot? {
    var assembler = SnapshotAssembler()
    guard let client = clients[name]?.id else { return nil }
    let parts = core.snapshot(for: 1, of: client, contents: contents, now: now)
    return parts.compactMap { assembler.add($0) }.last
  }

  /// Everybody closes and goes.
  mutating func end() {
    for name in clients.keys.sorted() { closeAll(name) }
    advance(by: 60_000_000_000)
    settle()
  }

  var published: UInt64 { clients.values.flatMap(\.publishers.values).reduce(0) { $0 + $1.next - 1 } }

  /// What the node still has.
  var leftovers: String {
    "\(core.ledger.poolUsage.total - core.ledger.poolUsage.free) bytes, \(core.streams.count) streams, "
      + "\(core.subscriptions.count) subscriptions, \(core.segments.count) segments, \(core.leases.count) leases, "
      + "\(core.awaitedListeners.count) awaited"
  }

  var isFree: Bool { leftovers == "0 bytes, 0 streams, 0 subscriptions, 0 segments, 0 leases, 0 awaited" }

  /// Where readers of the streams of the living are not at their end.
  var unread: [String] {
    let ends = clients.values.flatMap(\.publishers).reduce(into: [StreamID: UInt64]()) { $0[$1.key] = $1.value.next }
    return clients.values.flatMap(\.readers).flatMap { id, reader in
      reader.cursors.compactMap { stream, cursor in
        guard let end = ends[stream], cursor.expected != end else { return nil }
        return "\(id) is at \(cursor.expected) of \(stream), which is at \(end)"
      }
    }
  }

  var isEverythingRead: Bool { unread.isEmpty }
}
