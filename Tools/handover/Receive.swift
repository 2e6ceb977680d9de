import ArgumentParser
import Crypto
import Foundation
import PoolBus
import SystemPackage

extension Handover {
  /// Receives the files, and compares each payload's SHA-256 with that of the file on disk.
  struct Receive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(shouldDisplay: false)

    @Option var socket: String

    func run() async throws {
      let bus = try await Bus.connect(
        BusConfiguration(socketPath: socket, name: "handover receive", embeddedNode: nil))
      let subscriber = try await bus.subscriber(to: Handover.topic)
      print("ready")
      fflush(nil)
      var report = ReceiveReport()
      while let sample = try await subscriber.next() {
        let attributes = try sample.attributes()
        if let end = attributes.user[Handover.endAttribute] {
          report.expected = Int(end) ?? -1
          break
        }
        let path = attributes.user[Handover.pathAttribute] ?? ""
        if try digest(of: sample) != digest(ofFileAt: path) { report.differing.append(path) }
        report.files += 1
        report.bytes += sample.byteCount
      }
      try report.print()
      await bus.close()
    }

    /// Hashed where it lies.
    private func digest(of sample: borrowing Sample) -> SHA256Digest {
      var hash = SHA256()
      // SAFETY: the bytes are read while they are borrowed.
      unsafe sample.bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
      return hash.finalize()
    }

    private func digest(ofFileAt path: String) throws -> SHA256Digest {
      let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
      defer { try? file.close() }
      var hash = SHA256()
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      while true {
        // SAFETY: the kernel writes into the array, and what it wrote is hashed.
        let count = try unsafe buffer.withUnsafeMutableBytes { unsafe try file.read(into: $0) }
        if count == 0 { return hash.finalize() }
        unsafe buffer.withUnsafeBytes { unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      }
    }
  }
}
