import Foundation
import PoolBus
import Testing

extension Hostile {
  /// `busctl subscribe` where what it writes has no room.
  @Suite struct FullDisks {
    /// Retained messages of these sizes, for whoever comes.
    private func publish(_ sizes: [Int], at bystanders: Bystanders, _ body: () async throws -> Void) async throws {
      let bus = try await Bus.connect(
        BusConfiguration(socketPath: bystanders.socket, name: "disk", embeddedNode: nil))
      let publisher = try await bus.publisher(
        for: "disk/full", options: PublisherOptions(retention: Retention(messages: UInt64(sizes.count))))
      for size in sizes { try (try await publisher.loan(byteCount: size)).publish() }
      // What is still leased is promised to who joins, too.
      try await body()
      // What is retained outlives its publisher.
      _ = try await bus.publisher(for: "disk/full", options: PublisherOptions(retention: Retention.none))
      await bus.close()
    }

    @Test func outputIsFull() async throws {
      try await Bystanders.with { bystanders in
        try await publish([1000, 1000, 400_000, 1000], at: bystanders) {
          let folder = FileManager.default.temporaryDirectory.appending(path: "pb-full-\(UUID().uuidString)").path
          defer { try? FileManager.default.removeItem(atPath: folder) }
          // No file may be longer than so many blocks, in place of a disk that holds no more: the third does not fit.
          let result = try shell(
            "trap '' XFSZ; ulimit -f 64; exec busctl subscribe 'disk/*' --count 4 --output \(folder)", at: bystanders)
          #expect(result.code == 1, "\(result.errors)")
          #expect(result.errors.contains("can't be written") && result.errors.contains(folder), "\(result.errors)")
          // What was written whole stays, and of what was not there is nothing.
          let files = try FileManager.default.contentsOfDirectory(atPath: folder)
          #expect(files.count == 2)
          for file in files {
            let size = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(file)")[.size] as? Int
            #expect(size == 1000)
          }
          // The message that could not be written is not lost: it is retained still.
          let again = try shell("exec busctl subscribe 'disk/*' --count 4 --output \(folder)-2", at: bystanders)
          defer { try? FileManager.default.removeItem(atPath: "\(folder)-2") }
          #expect(again.code == 0, "\(again.errors)")
          #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)-2").count == 4)
        }
      }
    }

    @Test(arguments: ["--print", "--json", ""]) func standardOutputIsFull(format: String) async throws {
      try await Bystanders.with { bystanders in
        try await publish([100], at: bystanders) {
          let result = try shell(
            "exec busctl subscribe 'disk/*' --count 1 \(format) > /dev/full", at: bystanders)
          #expect(result.code == 1)
          #expect(result.errors.contains("standard output can't be written"), "\(result.errors)")
        }
      }
    }

    @Test func outputCannotBeMade() async throws {
      try await Bystanders.with { bystanders in
        let result = try shell("exec busctl subscribe 'disk/*' --output /dev/null/x", at: bystanders)
        #expect(result.code == 1 && result.errors.contains("/dev/null/x can't be made"), "\(result.errors)")
      }
    }
  }
}
