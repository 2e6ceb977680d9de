import Foundation
import Glibc
import PoolBus
import PoolNode
import TestProcesses
import Testing

extension Hostile {
  /// Processes of other users at one node; root can start them.
  @Suite(.enabled(if: canStartOtherUsers, "only root can start other users' processes"))
  struct OtherUsers {
    private static func prefix(_ user: Int, groups: String = "") -> String {
      "setpriv --reuid \(user) --regid \(user) \(groups.isEmpty ? "--clear-groups" : "--groups \(groups)")"
    }

    @Test func nobodyElseCanConnectByDefault() async throws {
      try await Bystanders.with { bystanders in
        let result = try shell("exec \(Self.prefix(54321)) busctl status", at: bystanders)
        #expect(result.code == 69 && result.errors.contains("may not use"), "\(result.errors)")
      }
    }

    @Test func theAccessListSaysWhatTheyMayDo() async throws {
      let rules = [
        "allow publish subscribe inspect ** to user:0", "allow publish camera/** to user:54321",
        "allow subscribe camera/** to group:54400",
      ]
      let access = AccessList(try rules.map { try AccessRule($0) })
      try await Bystanders.with({
        $0.socketAccess = SocketAccess(mode: 0o666)
        $0.access = access
      }) { bystanders in
        let bus = try await Bus.connect(
          BusConfiguration(socketPath: bystanders.socket, name: "root", embeddedNode: nil))
        // Kept for late joiners, so that the order of what follows does not matter.
        let secret = try await bus.publisher(
          for: "secret", options: PublisherOptions(retention: Retention(messages: 10)))
        try (try await secret.loan(byteCount: 8)).publish()
        let camera = try await bus.publisher(
          for: "camera/rear", options: PublisherOptions(retention: Retention(messages: 10)))
        try (try await camera.loan(byteCount: 8)).publish()

        let (publisher, viewer) = (Self.prefix(54321), Self.prefix(54322, groups: "54400"))
        let listener = try await bus.subscriber(to: "camera/front")
        for (line, code, words) in [
          ("echo hello | \(publisher) busctl publish camera/front -", 0, ""),
          ("echo hello | \(publisher) busctl publish lidar -", 1, "user 54321 may not publish lidar"),
          ("\(publisher) busctl subscribe 'camera/**'", 1, "user 54321 may not subscribe camera/**"),
          ("\(publisher) busctl status", 1, "may not inspect"),
          ("echo hello | \(viewer) busctl publish camera/front -", 1, "user 54322 may not publish"),
          ("\(viewer) busctl subscribe secret", 1, "user 54322 may not subscribe secret"),
          // Of all that there is it receives what it may read, and no message of the others.
          ("\(viewer) busctl subscribe '**' --count 1", 0, ""),
        ] as [(String, Int32, String)] {
          let result = try shell(line, at: bystanders)
          #expect(result.code == code && (words.isEmpty || result.errors.contains(words)), "\(line): \(result)")
        }
        guard let sample = try await listener.next() else { throw Unexpected("nothing came") }
        #expect(sample.byteCount == 6)
        _ = consume sample
        for topic in ["secret", "camera/rear"] {
          _ = try await bus.publisher(for: topic, options: PublisherOptions(retention: Retention.none))
        }
        await bus.close()
      }
    }
  }
}

/// Whether another user's process can run what was built, and reach the folder of the sockets.
private let canStartOtherUsers: Bool = {
  guard getuid() == 0 else { return false }
  let process = Process()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = [
    "-c",
    "exec setpriv --reuid 54321 --regid 54321 --clear-groups sh -c 'test -x \(Executable.path) && test -x \(NSTemporaryDirectory())'",
  ]
  do { try process.run() } catch { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}()
