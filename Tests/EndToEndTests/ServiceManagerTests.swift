import Glibc
import PoolBus
import PooledMemory
import TestProcesses
import Testing
import Vocabulary

@testable import Platform

extension EndToEnd {
  /// poolbusd as systemd starts it; the test is its service manager.
  @Suite struct ServiceManagers {
    @Test("A node listens at the socket that it inherits, says how it fares, and has its segments kept")
    func socketActivation() async throws {
      let activate = try #require(Executable.find("systemd-socket-activate", "/usr/bin/systemd-socket-activate"))
      try await Workplace.with(contribution: 16 << 20, node: false) { place in
        let ear = try ServiceEar(place)
        let daemon = try place.program([
          activate, "--seqpacket", "--listen=\(place.socket)", "--fdname=node", "--setenv=NOTIFY_SOCKET=\(ear.path)",
          "--setenv=POOLBUS_CONTRIBUTION=16MiB", "--setenv=POOLBUS_LOG_LEVEL=error", "\(Executable.folder)/poolbusd",
        ])
        // The first to knock has it started.
        let bus = try await joined(place)
        try #expect(ear.next("READY=1").text.contains("STATUS=Serves \(place.socket)"))

        let publisher = try await bus.publisher(for: "a")
        let loan = try await publisher.loan(byteCount: 100)
        try loan.publish()
        let kept = try ear.next("FDSTORE=1")
        let name = try #require(kept.text.split(separator: "\n").first { $0.hasPrefix("FDNAME=poolbus-segment-") })
        #expect(try MemoryFile.seals(of: kept.raw).isSuperset(of: [.shrink, .grow]))
        #expect(SegmentLayout.allows(capacity: try MemoryFile.byteCount(of: kept.raw)))

        publisher.close()
        await bus.close()
        try #expect(ear.next("FDSTOREREMOVE=1").text.contains(name))

        kill(daemon.processID, SIGTERM)
        _ = try ear.next("STOPPING=1")
        #expect(try await daemon.exit() == .code(0))
        // It is the service manager's.
        #expect(File.exists(place.socket))
        File.remove(place.socket)
      }
    }

    @Test("What a restarted node gets back and nobody claims is forgotten after the grace period")
    func unclaimed() async throws {
      try await Workplace.with(contribution: 16 << 20, node: false) { place in
        let ear = try ServiceEar(place)
        let segment = try SegmentFile.create(id: SegmentID(rawValue: 7), capacity: 8192)
        let daemon = try place.program([
          "/bin/bash", "-c",
          """
          exec 3<>/proc/\(getpid())/fd/\(segment.raw) 4</dev/null
          export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=poolbus-segment-7:poolbus-segment-8
          export NOTIFY_SOCKET=\(ear.path) POOLBUS_LOG_LEVEL=error
          exec \(Executable.peer) node --socket \(place.socket) --contribution 16777216 --claim-grace 1
          """,
        ])
        // At once what is no segment's; the segment when its time is over.
        try #expect(ear.next("FDSTOREREMOVE=1").text.contains("FDNAME=poolbus-segment-8"))
        try #expect(ear.next("FDSTOREREMOVE=1").text.contains("FDNAME=poolbus-segment-7"))
        #expect(try await daemon.end() == .code(0))
      }
    }

    @Test("What a restarted node gets back, and its clients bring back, stays where it is until it is given back")
    func claimed() async throws {
      try await Workplace.with(contribution: 16 << 20, node: false) { place in
        let ear = try ServiceEar(place)
        func node(_ kept: [(name: String, file: ServiceEar.Notification)]) async throws -> PeerProcess {
          let files = kept.enumerated().map { "\($0 + 3)<>/proc/\(getpid())/fd/\($1.file.raw)" }
          let daemon = try place.program([
            "/bin/bash", "-c",
            """
            exec \(files.joined(separator: " "))
            export LISTEN_PID=$$ LISTEN_FDS=\(kept.count) LISTEN_FDNAMES=\(kept.map(\.name).joined(separator: ":"))
            export NOTIFY_SOCKET=\(ear.path) POOLBUS_LOG_LEVEL=error
            exec \(Executable.peer) node --socket \(place.socket) --contribution 16777216 --claim-grace 60000000000
            """,
          ])
          try await daemon.line("serving")
          return daemon
        }
        let first = try await node([])
        let bus = try await Bus.connect(BusConfiguration(socketPath: place.socket, name: "client", embeddedNode: nil))
        let subscriber = try await bus.subscriber(to: "a")
        let publisher = try await bus.publisher(for: "a")
        try await publisher.publish(copying: [1, 2, 3])
        let stored = try ear.next("FDSTORE=1")
        let name = try #require(stored.text.split(separator: "\n").first { $0.hasPrefix("FDNAME=") }?.dropFirst(7))

        let events = bus.nodeEvents
        first.signal(SIGKILL)
        _ = try await first.exit()
        let second = try await node([(String(name), stored)])
        for await event in events { if case .rejoined = event { break } }
        #expect(try await subscriber.next()?.byteCount == 3)
        publisher.close()
        subscriber.close()
        try #expect(ear.next("FDSTOREREMOVE=1").text.contains("FDNAME=\(name)"))
        await bus.close()
        #expect(try await second.end() == .code(0))
      }
    }

    @Test("A socket of the wrong kind is refused in words")
    func wrongSocket() async throws {
      let activate = try #require(Executable.find("systemd-socket-activate", "/usr/bin/systemd-socket-activate"))
      try await Workplace.with(contribution: 16 << 20, node: false) { place in
        let daemon = try place.program([
          "/bin/bash", "-c",
          "exec \(activate) --listen=\(place.socket) --setenv=POOLBUS_LOG_LEVEL=error \(Executable.folder)/poolbusd 2>&1",
        ])
        while !knock(at: place.socket) { await Task.yield() }
        try await daemon.line("Error: the inherited descriptor 3 is no Unix socket that listens for packets")
        #expect(try await daemon.exit() != .code(0))
        File.remove(place.socket)
      }
    }

    /// As soon as somebody listens: a socket has a name before that.
    private func joined(_ place: Workplace) async throws -> Bus {
      while true {
        do {
          return try await Bus.connect(BusConfiguration(socketPath: place.socket, name: "client", embeddedNode: nil))
        } catch BusError.cannotJoin {
          await Task.yield()
        }
      }
    }

    /// - Returns: whether somebody listens.
    private func knock(at path: String) -> Bool {
      let stream = OwnedDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
      return unsafe UnixAddress(path).with { address, length in unsafe connect(stream.raw, address, length) } == 0
    }
  }
}

/// What a service would hear: `$NOTIFY_SOCKET`, by the test.
private final class ServiceEar {
  let path: String
  private let descriptor: OwnedDescriptor
  private let packets: PacketSocket

  init(_ place: Workplace) throws(Errno) {
    path = "\(place.directory)/notify"
    descriptor = OwnedDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
    let raw = descriptor.raw
    let result = unsafe UnixAddress(path).with { address, length in unsafe bind(raw, address, length) }
    guard result == 0 else { throw Errno(rawValue: errno) }
    packets = PacketSocket(try descriptor.duplicate())
  }

  deinit { File.remove(path) }

  struct Silence: Error {
    let awaited: String
  }

  final class Notification {
    let text: String
    /// What came with it; -1 if nothing did.
    let raw: CInt
    private let file: OwnedDescriptor?

    init(_ text: String, _ file: consuming OwnedDescriptor?) {
      self.text = text
      if let file {
        raw = file.raw
        self.file = .some(consume file)
      } else {
        raw = -1
        self.file = nil
      }
    }
  }

  /// The next notification; it must begin so.
  func next(_ beginning: String) throws -> Notification {
    var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    // SAFETY: the structure outlives the call.
    guard unsafe poll(&waiting, 1, 60_000) == 1 else { throw Silence(awaited: beginning) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var bytes = unsafe span.mutableBytes
    switch try packets.receive(into: &bytes) {
    case .packet(let count, let file):
      let text = String(decoding: buffer[..<count], as: UTF8.self)
      #expect(text.hasPrefix(beginning))
      return Notification(text, file)
    default: throw Silence(awaited: beginning)
    }
  }
}

private struct UnixAddress {
  private var address = sockaddr_un()

  init(_ path: String) {
    address.sun_family = sa_family_t(AF_UNIX)
    // SAFETY: a test's paths are shorter than the address has room.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
  }

  func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    unsafe withUnsafePointer(to: address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
