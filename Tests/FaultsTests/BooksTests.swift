import PoolBus
import Testing

@testable import poolbus_faults

@Suite struct BooksTests {
  private func books(free: UInt64 = 900) throws -> PoolSnapshot {
    PoolSnapshot(
      pool: PoolRow(
        contribution: 1000, free: free, leased: 100, sealed: 0, retained: 0, warm: 0, pinned: 0, segmentsLeased: 1,
        segmentsRecycled: 0, segmentsReclaimed: 0, messagesLagged: 0, hugePages: "", waitingLeases: 0,
        nodeProcessID: 1, uptimeNanoseconds: 1),
      clients: [
        ClientRow(
          client: ClientID(rawValue: 1), name: "writer", processID: 50, userID: 0, joinedNanosecondsAgo: 1)
      ],
      segments: [
        SegmentRow(
          segment: SegmentID(rawValue: 1), epoch: 1, state: .leased, capacity: 100, stream: StreamID(rawValue: 2),
          topic: try TopicName("a"), messages: 0, leasedNanosecondsAgo: 1, stateNanosecondsAgo: 1)
      ],
      holders: [
        HolderRow(
          segment: SegmentID(rawValue: 1), client: ClientID(rawValue: 1), subscription: nil, reason: .writes,
          sinceNanosecondsAgo: 1)
      ])
  }

  @Test("Every byte is in one state, and the segments are all there is")
  func sums() throws {
    #expect(try Books.inconsistencies(books(), contribution: 1000) == [])
    #expect(try Books.inconsistencies(books(free: 899), contribution: 1000).count == 1)
    #expect(try Books.inconsistencies(books(), contribution: 2000).count == 1)
    var beyond = try books(free: 1400)
    beyond.pool.contribution = 1500
    #expect(Books.inconsistencies(beyond, contribution: 1000).count == 1)
    #expect(Books.inconsistencies(beyond, contribution: 1000, mayBeBeyond: true) == [])
    var books = try books()
    books.segments = []
    #expect(Books.inconsistencies(books, contribution: 1000).count == 1)
  }

  @Test("The dead hold nothing")
  func dead() throws {
    #expect(try Books.leftovers(books(), living: [50]) == [])
    // It is a client still, and holds a segment still.
    #expect(try Books.leftovers(books(), living: [51]).count == 2)
  }

  @Test("When all have left, all of the pool is free")
  func remains() throws {
    #expect(try Books.remains(books(), contribution: 1000).count == 1)
    var books = try books(free: 1000)
    books.pool.leased = 0
    #expect(Books.remains(books, contribution: 1000) == [])
    books.pool.waitingLeases = 1
    #expect(Books.remains(books, contribution: 1000).count == 1)
  }
}
