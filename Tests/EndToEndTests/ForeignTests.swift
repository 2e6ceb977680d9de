import Glibc
import TestProcesses
import Testing

extension EndToEnd {
  /// A program that shares nothing with us but `Schemas`.
  @Suite struct Foreign {
    private static let python = "\(Executable.package)/.build/venv/bin/python3"

    @Test("A Python program hears every handle: small ones, whatever the payload's size")
    func listener() async throws {
      let sizes = [0, 64, 65_536, 64 << 20]
      try await Workplace.with(contribution: 512 << 20) { place in
        let listener = try place.program(
          [
            Self.python, "\(Executable.package)/Tests/Foreign/listener.py", try await Self.schemas(), place.socket,
            "a/*",
          ])
        try await listener.line("listening")
        let publisher = try await place.publisher("a/b --sizes \(sizes.map(String.init).joined(separator: ","))")

        // A ZeroMQ subscription says to nobody when it has come through: the first handle does.
        var last: UInt64 = 0
        while !listener.hasSaid("handle") {
          last += 1
          try await publisher.ask("publish 1", "published \(last)")
        }
        try await publisher.ask("publish 100", "published \(last + 100)")

        var words = try await listener.line("handle")
        var sequence = try #require(UInt64(words[1]))
        while true {
          #expect(UInt64(words[1]) == sequence)
          #expect(Int(words[2]) == sizes[Int((sequence - 1) % UInt64(sizes.count))])
          #expect(try #require(Int(words[3])) <= 64)
          if sequence == last + 100 { break }
          sequence += 1
          words = try await listener.line("handle")
        }
      }
    }

    /// What protoc makes of the schemas for Python; made anew, as it follows them.
    private static func schemas() async throws -> String {
      let folder = "\(Executable.folder)/poolbus-schemas-python"
      // SAFETY: the kernel copies the path.
      unsafe mkdir(folder, 0o755)
      let source = "\(Executable.package)/Schemas"
      let protoc = try PeerProcess(
        ["protoc", "-I\(source)", "--python_out=\(folder)", "\(source)/handle.proto", "\(source)/node.proto"])
      #expect(try await protoc.exit() == .code(0))
      return folder
    }
  }
}
