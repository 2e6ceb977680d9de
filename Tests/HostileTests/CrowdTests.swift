import Foundation
import Glibc
import Testing

extension Hostile {
  @Suite struct Crowds {
    @Test func tenThousandClientsJoinAndLeave() async throws {
      try await Bystanders.with { bystanders in
        func comeAndGo(_ count: Int) async throws {
          try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
              if index >= 100 { try await group.next() }
              group.addTask {
                let liar = try await Liar.join(bystanders.socket, isProcess: false)
                switch index % 4 {
                case 0: _ = try await liar.openPublisher("liar/\(index)")
                case 1: _ = try await liar.subscribe("liar/**")
                case 2: liar.say(Say.subscribe(1, pattern: Array("liar/\(index)".utf8), observes: 1))
                default: break
                }
              }
            }
            try await group.waitForAll()
          }
          try await bystanders.othersHoldNothing()
        }
        try await comeAndGo(1_000)
        let (descriptors, memory) = (try openDescriptors(), try residentKilobytes())
        try await comeAndGo(9_000)
        #expect(try openDescriptors() < descriptors + 40)
        // Heaps grow and shrink a little; nine thousand forgotten clients would be seen.
        #expect(try residentKilobytes() < memory + 24 << 10)
      }
    }

    private func residentKilobytes() throws -> Int {
      let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
      return try #require(line.split(separator: " ").compactMap { Int($0) }.first)
    }
  }
}
