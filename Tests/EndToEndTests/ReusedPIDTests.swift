import Glibc
import Testing

extension EndToEnd {
  /// A process's number says nothing: the kernel gives it to the next. What watches a process must hold on to it.
  @Suite struct ReusedPIDs {
    private static let lastPID = "/proc/sys/kernel/ns_last_pid"
    /// Only who may choose the next number can have one reused.
    static let canChoose = unsafe access(lastPID, W_OK) == 0

    @Test(
      "A dead client's number goes to a process that lives on, and still all that it held is free",
      .enabled(if: canChoose, "only root may choose process numbers"))
    func numberOfADeadClient() async throws {
      try await Workplace.with(contribution: 16 << 20) { place in
        let publisher = try await place.publisher("reused --sizes 1000")
        try await publisher.ask("publish 10", "published 10")
        let forked = try await publisher.ask("fork", "forked")
        let orphan = try #require(forked.first.flatMap { pid_t($0) })
        place.adopt(orphan: orphan)
        // Its forked child holds the socket open, so that nothing but the process's end is there to be seen.
        try await publisher.kill()
        let number = publisher.processID
        var impostor: PeerProcess?
        // Others start processes, too: it may take a few attempts.
        for _ in 0..<200 where impostor == nil {
          try choose(number)
          let process = try place.program(["cat"])
          if process.processID == number { impostor = process } else { _ = try await process.end() }
        }
        try #require(impostor != nil, "the number could not be had")
        try await place.books("nothing of the dead is left") { $0.segments.isEmpty && $0.streams.isEmpty }
        #expect(impostor?.hasEnded == false)
      }
    }

    private func choose(_ number: pid_t) throws {
      let file = unsafe open(Self.lastPID, O_WRONLY | O_CLOEXEC)
      try #require(file >= 0)
      let text = Array("\(number - 1)".utf8)
      // SAFETY: the text outlives the call.
      #expect(unsafe write(file, text, text.count) == text.count)
      close(file)
    }
  }
}
