import Foundation
import Glibc
import TestProcesses
import Testing

extension Hostile {
  @Suite struct Crowds {
    @Test func tenThousandClientsJoinAndLeave() async throws {
      try await Bystanders.withNodeApart { bystanders, node in
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
        let (descriptors, memory) = (node.descriptorsWithoutSegments, try heapKilobytes(of: node))
        try await comeAndGo(9_000)
        #expect(node.descriptorsWithoutSegments < descriptors + 16)
        // Heaps grow and shrink a little; nine thousand forgotten clients would be seen.
        #expect(try heapKilobytes(of: node) < memory + 8 << 10)
      }
    }

    /// Without the pool's memory, which is shared.
    private func heapKilobytes(of process: PeerProcess) throws -> Int {
      let status = try String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)
      let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
      return try #require(line.split(separator: " ").compactMap { Int($0) }.first)
    }
  }
}
