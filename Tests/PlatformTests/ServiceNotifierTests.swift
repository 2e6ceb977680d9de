import CPeer
import Glibc
import Testing

@testable import Platform

@Suite struct ServiceNotifierTests {
  @Test func whatIsAnnouncedToAnotherProcessIsNotOurs() {
    let environment = ["LISTEN_PID": "41", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "node"]
    #expect(InheritedDescriptors.announced(in: environment, processID: 42) == [])
    #expect(
      InheritedDescriptors.announced(in: environment, processID: 41)
        == [InheritedDescriptors.Entry(raw: 3, name: "node")])
  }

  @Test(arguments: [
    [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "7"], ["LISTEN_PID": "7", "LISTEN_FDS": "0"],
    ["LISTEN_PID": "7", "LISTEN_FDS": "-1"], ["LISTEN_PID": "7", "LISTEN_FDS": "9999999999"],
    ["LISTEN_PID": "x", "LISTEN_FDS": "1"],
  ])
  func nonsenseAnnouncesNothing(environment: [String: String]) {
    #expect(InheritedDescriptors.announced(in: environment, processID: 7) == [])
  }

  @Test func namesMayBeMissing() {
    let environment = ["LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:"]
    let entries = InheritedDescriptors.announced(in: environment, processID: 7)
    #expect(entries.map(\.name) == ["a", "", ""])
    #expect(entries.map(\.raw) == [3, 4, 5])
  }

  @Test func linesAndADescriptorArrive() throws {
    let directory = try TemporaryDirectory()
    for path in [directory.file("notify"), "@poolbus-test-\(getpid())"] {
      let ear = try DatagramSocket(boundTo: path)
      let file = try MemoryFile.create(name: "kept", byteCount: 4096)
      try ServiceNotifier(path: path).send(["FDSTORE=1", "FDNAME=a"], descriptor: file.raw)
      let received = ear.receive()
      let (text, descriptor) = try #require(received)
      #expect(text == "FDSTORE=1\nFDNAME=a")
      #expect(try MemoryFile.byteCount(of: descriptor) == 4096)
      close(descriptor)
    }
  }

  @Test func aMissingServiceManagerIsAnError() {
    #expect(throws: Errno.self) { try ServiceNotifier(path: "/nowhere/notify").send(["READY=1"]) }
  }

  @Test func aListenerIsTakenOverAndItsFileStays() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("node.sock")
    let original = try PacketListener.claim(path: path)
    do {
      let adopted = try PacketListener.adopt(try OwnedDescriptor.duplicating(original.raw))
      #expect(adopted.path == path)
      let client = try PacketSocket.connect(to: path)
      let raw = client.raw
      let isAccepted = try adopted.accept() != nil
      #expect(raw >= 0 && isAccepted)
    }
    // SAFETY: the kernel copies the path.
    #expect(unsafe access(path, F_OK) == 0)
  }

  @Test func clientsSeeWhoHasTakenAListenerOver() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("node.sock")
    let original = try PacketListener.claim(path: path)
    try #require(poolbus_peer_listen_as_child(original.raw) == 0)
    let adopted = try PacketListener.adopt(try OwnedDescriptor.duplicating(original.raw))
    let client = try PacketSocket.connect(to: path)
    let processID = try client.peerCredentials().processID
    #expect(processID == getpid())
    let hasEnded = try client.peerProcess().hasProcessEnded()
    #expect(!hasEnded && adopted.path == path)
  }

  @Test(arguments: ["a pipe", "a stream socket", "a packet socket that does not listen"])
  func whatDoesNotListenForPacketsIsRefused(kind: String) throws {
    var ends: [CInt] = [-1, -1]
    switch kind {
    case "a pipe": #expect(unsafe pipe(&ends) == 0)
    case "a stream socket": ends[0] = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    default: ends[0] = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
    }
    let raw = ends[0]
    #expect(throws: SocketError.notAListener(descriptor: raw)) {
      _ = try PacketListener.adopt(OwnedDescriptor(adopting: raw))
    }
    if ends[1] >= 0 { close(ends[1]) }
  }
}

/// Where a service manager would listen.
private final class DatagramSocket {
  private let descriptor: OwnedDescriptor

  init(boundTo path: String) throws {
    let socket = OwnedDescriptor(adopting: try check(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = path.utf8.map { $0 == UInt8(ascii: "@") ? 0 : $0 }
    // SAFETY: the path is shorter than the address has room; the structure outlives the call.
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let raw = socket.raw
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(raw, $0, length) }
    }
    _ = try check(result)
    descriptor = socket
  }

  func receive() -> (text: String, descriptor: CInt)? {
    let socket = PacketSocket(OwnedDescriptor(adopting: dup(descriptor.raw)))
    var buffer = [UInt8](repeating: 0, count: 4096)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var bytes = unsafe span.mutableBytes
    guard case .packet(let count, let file)? = try? socket.receive(into: &bytes) else { return nil }
    return (String(decoding: buffer[..<count], as: UTF8.self), file?.take() ?? -1)
  }
}
