import PooledMemory
import Testing

extension EndToEnd {
  @Suite struct Payloads {
    private static let pool = 2 << 30
    /// A header page and three slots, two of them spare, are the segment's own.
    private static let largest = pool - 4096 - 3 * 64

    @Test("Payloads of every size pass byte-exact, up to one of the whole pool")
    func everySize() async throws {
      let sizes = [0, 1, 63, 64, 65, 4096, 1 << 20, 64 << 20, 1 << 30, Self.largest]
      let list = sizes.map { "\($0)" }.joined(separator: ",")
      try await Workplace.with(contribution: UInt64(Self.pool)) { place in
        let subscriber = try await place.subscriber("sizes --sizes \(list)")
        let publisher = try await place.publisher("sizes --sizes \(list)")
        subscriber.tell("take \(sizes.count)")
        try await publisher.ask("publish \(sizes.count)", "published \(sizes.count)")
        try await subscriber.line("took \(sizes.count) 0")
      }
    }

    @Test("A payload that can never fit fails at the loan, with the limit in the message")
    func oneByteMore() async throws {
      try await Workplace.with(contribution: UInt64(Self.pool)) { place in
        let publisher = try await place.publisher("large")
        let refusal = try await publisher.ask("loan \(Self.largest + 1)", "failed")
        #expect(refusal.contains("\(Self.largest)"), "\(refusal)")
        try await publisher.ask("publish 1", "published 1")
      }
    }

    @Test("A topic's quota is a limit of its own")
    func quota() async throws {
      let quota = 1 << 20
      try await Workplace.with(contribution: UInt64(Self.pool), quotas: ["small/**=\(quota)"]) { place in
        let publisher = try await place.publisher("small/topic --sizes \(quota - 4096 - 3 * 64)")
        let refusal = try await publisher.ask("loan \(quota - 4096 - 63)", "failed")
        #expect(refusal.contains("\(quota - 4096 - 3 * 64)"), "\(refusal)")
        try await publisher.ask("publish 2", "published 2")
      }
    }
  }
}
