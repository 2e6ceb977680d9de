import Foundation
import Histogram

/// The processes of one system at one work, from their start to their end.
final class SystemRun {
  private let work: Work
  private let configuration: Configuration
  private let place: String
  private var server: PeerProcess?
  /// Receivers, told first; then those who send.
  private var receivers: [PeerProcess] = []
  private var senders: [PeerProcess] = []

  init(_ system: System, _ work: Work, _ configuration: Configuration, programs: String) throws {
    self.work = work
    self.configuration = configuration
    place = "\(NSTemporaryDirectory())/poolbus-bench-\(UUID().uuidString.prefix(8))".replacing("//", with: "/")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    do {
      func start(_ role: String, index: Int = 0) throws -> PeerProcess {
        let process = try PeerProcess(
          system, role, configuration, index: index, place: place, programs: programs)
        do {
          try process.expect("ready")
          return process
        } catch {
          process.kill()
          throw error
        }
      }
      if system.server { server = try start("server") }
      if work.isRoundTrip {
        receivers = [try start("pong")]
        senders = [try start("ping")]
      } else {
        let sinks = system.isSourceOnly == true ? 0 : configuration.subscribers
        for index in 0..<sinks { receivers.append(try start("sink", index: index)) }
        for index in 0..<configuration.publishers { senders.append(try start("source", index: index)) }
      }
    } catch {
      kill()
      throw error
    }
  }

  /// What a round gave.
  struct Round {
    var figures: [Metric: Double]
    /// Of round trips.
    var latencies: Histogram<UInt64>?
  }

  /// A round of so many messages.
  func round(_ count: Int) throws -> Round {
    let serverBefore = server?.cpu ?? 0
    for receiver in receivers {
      try receiver.tell("run \(count)")
      try receiver.expect("armed")
    }
    for sender in senders { try sender.tell("run \(count)") }
    let sent = try senders.map { try $0.expect("done") }
    let received = try receivers.map { try $0.expect("done") }
    let serverCPU = (server?.cpu ?? 0) - serverBefore
    return work.isRoundTrip
      ? try latency(count, sent: sent[0], received: received[0], serverCPU: serverCPU)
      : try throughput(count, sent: sent, received: received, serverCPU: serverCPU)
  }

  private func latency(
    _ count: Int, sent ping: [String: String], received pong: [String: String], serverCPU: Double
  ) throws -> Round {
    guard let file = ping["file"] else { throw Failure("ping names no file") }
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    guard data.count == count * 8 else { throw Failure("\(file) has \(data.count) bytes for \(count) samples") }
    var latencies = Histogram<UInt64>.ofLatencies
    data.withUnsafeBytes { bytes in
      for offset in stride(from: 0, to: bytes.count, by: 8) {
        latencies.record(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      }
    }
    var figures = cpu(of: [ping, pong], serverCPU: serverCPU, delivered: 2 * Double(count))
    figures[.p50] = Double(latencies.valueAtPercentile(50))
    return Round(figures: figures, latencies: latencies)
  }

  private func throughput(
    _ count: Int, sent: [[String: String]], received: [[String: String]], serverCPU: Double
  ) throws -> Round {
    func values(_ key: String, _ lines: [[String: String]]) -> [Double] {
      lines.compactMap { $0[key].flatMap(Double.init) }
    }
    // Where nothing is received it is the source that says when it has ended.
    guard let start = values("start", sent).min(), let end = values("end", received.isEmpty ? sent : received).max(),
      end > start
    else { throw Failure("no start or no end") }
    let lost = values("lost", received).reduce(0, +)
    if lost > 0 { throw Failure("\(Int(lost)) messages were lost") }
    let elapsed = (end - start) / 1e9
    let messages = Double(count * configuration.publishers)
    let delivered = messages * Double(configuration.subscribers)
    var figures = cpu(of: sent + received, serverCPU: serverCPU, delivered: delivered)
    figures[.messagesPerSecond] = messages / elapsed
    figures[.bytesPerSecond] = delivered * Double(configuration.size) / elapsed
    if let server {
      figures[.serverCPU] = serverCPU / 1e9 / elapsed
      figures[.serverMemory] = server.ownMemory
    }
    return Round(figures: figures)
  }

  /// What a delivered message, and a byte of it, cost all processes together.
  private func cpu(of lines: [[String: String]], serverCPU: Double, delivered: Double) -> [Metric: Double] {
    let cpu = lines.compactMap { $0["cpu"].flatMap(Double.init) }.reduce(serverCPU, +)
    return [.cpuPerMessage: cpu / delivered, .cpuPerByte: cpu / (delivered * Double(configuration.size))]
  }

  /// Ends what has done as it should.
  func end() { close { $0.end() } }

  /// Ends what has not.
  func kill() { close { $0.kill() } }

  /// The server last, and in good order whatever the others did: it has memory to give back.
  private func close(by ending: (PeerProcess) -> Void) {
    for process in senders + receivers { ending(process) }
    server?.end(isServer: true)
    try? FileManager.default.removeItem(atPath: place)
  }
}
