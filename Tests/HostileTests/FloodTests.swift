import CPeer
import Foundation
import Glibc
import HandleTransport
import PoolNode
import TestSupport
import Testing
import Vocabulary

extension Hostile {
  /// Too much of everything: the node keeps its head, and its memory.
  @Suite struct Floods {
    /// Says a thing until it is sent away, refused, or has said it so often; it never listens while it speaks.
    private func flood(_ liar: Liar, _ count: Int, _ descriptors: [CInt] = [], _ bytes: (UInt64) -> [UInt8])
      async throws
    {
      for index in 0..<count {
        let bytes = bytes(UInt64(index) + 1)
        var patience = 200
        while patience > 0 {
          let failure = liar.say(bytes, descriptors)
          if failure == 0 { break }
          if failure == EPIPE || failure == ECONNRESET { return }
          try await Task.sleep(for: .microseconds(500))
          patience -= 1
        }
      }
    }

    @Test func inspectsAndDoesNotListen() async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        try await flood(liar, 40_000) { Say.inspect($0) }
        try await bystanders.areUnharmed()
        // It left more unread than it may.
        #expect(liar.say(Say.inspect(1)) != 0)
      }
    }

    @Test func opensPublishersWithoutEnd() async throws {
      try await Bystanders.with({ $0.clientLimits.publishers = 300 }) { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        try await flood(liar, 2_000) { Say.openPublisher($0, topic: Array("liar/\($0)".utf8)) }
        let refusal = try await liar.hear(.refusal)
        #expect(refusal[2] == 6 && refusal[1] == 301)
        #expect(try await bystanders.books().streams.count == 301)
      }
    }

    @Test func subscribesWithoutEnd() async throws {
      try await Bystanders.with({ $0.clientLimits.subscriptions = 300 }) { bystanders in
        let page = Descriptor(poolbus_raw_memory_file(wakePageByteCount, 0x2 | 0x4))
        let liar = try await Liar.join(bystanders.socket)
        try await flood(liar, 2_000, [page.raw]) { Say.subscribe($0, pattern: Array("liar/\($0)/**".utf8)) }
        let refusal = try await liar.hear(.refusal)
        #expect(refusal[2] == 6 && refusal[1] == 301)
        #expect(try await bystanders.books().subscriptions.count == 301)
      }
    }

    @Test func asksForLeasesWithoutEnd() async throws {
      let quota = TopicQuota(pattern: try TopicPattern("liar/**"), bytes: 65_536)
      try await Bystanders.with({
        $0.quotas = [quota]
        $0.clientLimits.waitingLeases = 300
      }) { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        _ = try await liar.leaseReady(stream)
        try await flood(liar, 2_000) { Say.requestLease($0, stream: stream, capacity: 65_536) }
        let refusal = try await liar.hear(.refusal)
        #expect(refusal[2] == 6 && refusal[1] == 301)
        #expect(try await bystanders.books().pool.waitingLeases == 300)
      }
    }

    @Test func connectsAndSaysNothing() async throws {
      try await Bystanders.withNodeApart { bystanders, node in
        let before = node.descriptorsWithoutSegments
        do {
          let silent = try (0..<500).map { _ in try Liar(bystanders.socket, isProcess: false) }
          try await bystanders.areUnharmed()
          #expect(node.descriptorsWithoutSegments >= before + silent.count)
        }
        try await eventually("nothing of them is left") { node.descriptorsWithoutSegments < before + 16 }
      }
    }

    /// As many clients as its user may have, and no more: the others' places stay free.
    @Test func oneUserTakesAllItMay() async throws {
      let rule = UserQuotaRule(principals: [.user(getuid())], quota: UserQuota(clients: 20))
      try await Bystanders.with({ $0.userQuotas = [rule] }) { bystanders in
        var kept: [Liar] = []
        for _ in 0..<17 { kept.append(try await Liar.join(bystanders.socket, isProcess: false)) }
        for _ in 0..<20 {
          let refusal = try await Liar(bystanders.socket, isProcess: false).hearEnd()
          #expect(refusal?[2] == 6 && refusal?.text(3).contains("20 clients") == true)
        }
        kept = []
        try await eventually("there is room again") {
          do {
            _ = try await Liar.join(bystanders.socket, isProcess: false)
            return true
          } catch is Unexpected { return false }
        }
      }
    }

    /// Whoever publishes where others listen is told of their bells.
    @Test func ringsWithoutEnd() async throws {
      try await Bystanders.with(pattern: "**") { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        let stream = try await liar.openPublisher("liar/a")
        let bell = try await liar.hear(.subscriberJoined).text(5)
        let ringer = BellRinger()
        let nonsense = (0..<300).map { _ in UInt8.random(in: 0...255) }
        for handle in [[], [0], nonsense, Wire.fixed64(1, stream), Wire.fixed64(1, bystanders.stream.rawValue)] {
          // SAFETY: an array of bytes has no padding.
          for _ in 0..<50_000 { #expect(ringer.ring(bell, with: unsafe handle.span.bytes)) }
          try await bystanders.areUnharmed()
        }
        #expect(bystanders.strange == 0, "a handle invents nothing")
      }
    }

    @Test func aThousandSegmentsLeftUnread() async throws {
      try await Bystanders.with(contribution: 64 << 20, { $0.clientLimits.unreadDescriptors = 200 }) { bystanders in
        let (writer, reader) = (try await Liar.join(bystanders.socket), try await Liar.join(bystanders.socket))
        _ = try await reader.subscribe("liar/**")
        // Each stream's first segment is handed at once: a descriptor that the reader does not take.
        for index in 0..<1_000 {
          let stream = try await writer.openPublisher("liar/\(index)")
          _ = try await writer.leaseReady(stream, capacity: 8192)
        }
        try await bystanders.books("the reader was let go") { books in
          !books.subscriptions.contains { $0.pattern.text == "liar/**" }
        }
        #expect(try await writer.isHeard())
      }
    }
  }
}
