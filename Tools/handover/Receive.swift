import ArgumentParser
import Crypto
import Foundation
import PoolBus

extension Handover {
  /// Receives the files, and compares the SHA-256 of each payload with that of the file on disk.
  struct Receive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Receives the files; joins the node at $POOLBUS_SOCKET, and says when it is ready.")

    @Argument var folder: String

    func run() async throws {
      let bus = try await Bus.connect(BusConfiguration(name: "handover receive", embeddedNode: nil))
      let files = try await bus.subscriber(to: Handover.files)
      let receipts = try await bus.publisher(for: Handover.receipts)
      try FileHandle.standardOutput.write(contentsOf: Data("ready\n".utf8))
      for round in Round.allCases {
        let receipt = try JSONEncoder().encode(try await receive(round, from: files))
        try await receipts.publish(copying: Array(receipt))
      }
      await bus.close()
    }

    private func receive(_ round: Round, from files: Subscriber) async throws -> Receipt {
      var receipt = Receipt()
      while let sample = try await files.next() {
        let attributes = try sample.attributes().user
        if attributes[Handover.end] != nil { break }
        receipt.files += 1
        receipt.bytes += sample.byteCount
        switch round {
        case .verified:
          if let difference = difference(of: sample.bytes, from: attributes[Handover.path] ?? "") {
            receipt.differing.append(difference)
          }
        case .readOnce: receipt.sum &+= sum(of: sample.bytes)
        }
      }
      return receipt
    }

    /// - Returns: nil if the payload, hashed where it lies, is what is on disk.
    private func difference(of payload: RawSpan, from path: String) -> String? {
      do throws(Unreadable) {
        var hash = SHA256()
        // SAFETY: the bytes are read while they are borrowed.
        unsafe payload.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        let isSame = try InputFile(path, in: folder).digest(limit: payload.byteCount) == hash.finalize()
        return isSame ? nil : "\(path): the payload is not what is on disk"
      } catch {
        return "\(error)"
      }
    }

    /// Reads each byte once.
    private func sum(of payload: RawSpan) -> UInt64 {
      var sum: UInt64 = 0
      let words = payload.byteCount / 8
      for word in 0..<words {
        // SAFETY: here and below the offset is within the span, and any bits are a number.
        sum &+= unsafe payload.unsafeLoadUnaligned(fromByteOffset: word &* 8, as: UInt64.self)
      }
      for rest in (words * 8)..<payload.byteCount {
        sum &+= UInt64(unsafe payload.unsafeLoad(fromByteOffset: rest, as: UInt8.self))
      }
      return sum
    }
  }
}
