import ArgumentParser
import Foundation
import PoolBus
import SystemPackage

extension Handover {
  /// Publishes every regular file below a folder, each as one message, read straight into the pool.
  struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(shouldDisplay: false)

    @Option var socket: String
    @Argument var folder: String

    func run() async throws {
      let bus = try await Bus.connect(
        BusConfiguration(socketPath: socket, name: "handover publish", embeddedNode: nil))
      let publisher = try await bus.publisher(for: Handover.topic)
      var report = PublishReport()
      let clock = ContinuousClock()
      let start = clock.now
      for path in regularFiles(below: folder) {
        do {
          report.bytes += try await hand(path, to: publisher)
          report.files += 1
        } catch let error as Errno {
          report.unreadable.append("\(path): \(error)")
        }
      }
      let end = MessageAttributes(user: [Handover.endAttribute: String(report.files)])
      try await publisher.loan(byteCount: 0, attributes: end).publish()
      report.seconds = (clock.now - start) / .seconds(1)
      (report.handles, report.handleBytes) = bus.sentHandles
      try report.print()
      await bus.close()
    }

    /// - Returns: the file's size.
    private func hand(_ path: String, to publisher: Publisher) async throws -> Int {
      let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .noFollow])
      defer { try? file.close() }
      let size = Int(try file.seek(offset: 0, from: .end))
      try file.seek(offset: 0, from: .start)
      let attributes = MessageAttributes(
        contentType: "application/octet-stream", user: [Handover.pathAttribute: path])
      var loan = try await publisher.loan(byteCount: size, attributes: attributes)
      // SAFETY: the kernel writes into the loan, which is borrowed until it has.
      let count = try unsafe loan.mutableBytes.withUnsafeMutableBytes { room in
        var count = 0
        while count < size {
          let read = unsafe try file.read(into: UnsafeMutableRawBufferPointer(rebasing: room[count...]))
          if read == 0 { break }
          count += read
        }
        return count
      }
      try loan.publish(byteCount: count)
      return count
    }

    /// The folder's regular files, of all depths; symbolic links are not followed.
    private func regularFiles(below folder: String) -> [String] {
      let keys: Set<URLResourceKey> = [.isRegularFileKey, .isSymbolicLinkKey]
      let all = FileManager.default.enumerator(
        at: URL(filePath: folder), includingPropertiesForKeys: Array(keys))
      return (all?.compactMap { $0 as? URL } ?? []).filter { url in
        let values = try? url.resourceValues(forKeys: keys)
        return values?.isRegularFile == true && values?.isSymbolicLink != true
      }.map { $0.path(percentEncoded: false) }
    }
  }
}
