import BusProtocol
import Foundation
import TestSupport
import Testing
import Vocabulary

@Suite struct SchemaTests {
  @Test func `the committed C is what the schemas say`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let check = Process()
    check.executableURL = root.appending(path: "Tools/generate-schemas")
    check.arguments = ["--check"]
    let output = Pipe()
    check.standardOutput = output
    check.standardError = output
    try check.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    check.waitUntilExit()
    #expect(check.terminationStatus == 0, "Tools/generate-schemas --check says:\n\(text)")
  }

  /// The numbers that other languages know the values by.
  @Test func `enumerations have the schema's numbers`() throws {
    for (number, code) in [
      RefusalCode.malformed, .version, .poolExhausted, .tooLarge, .outOfMemory, .notPermitted, .limit, .cancelled,
      .nodeFault,
    ].enumerated() {
      let bytes = Wire.bytes(2, Wire.number(1, 1) + Wire.number(2, UInt64(number)))
      #expect(try NodeMessage.decode(bytes) == .refusal(Refusal(request: 1, code: code, message: "")))
    }
    for (number, policy) in [FullPolicy.wait(timeout: nil), .fail, .evictOldest].enumerated() {
      let bytes = Wire.bytes(2, Wire.number(1, 1) + Wire.text(2, "a") + Wire.number(3, UInt64(number)))
      let open = OpenPublisher(request: 1, topic: try TopicName("a"), whenFull: policy, retention: nil)
      #expect(try ClientMessage.decode(bytes) == .openPublisher(open))
    }
    let ids = Wire.number(1, 1) + Wire.number(2, 1)
    for (number, state) in [SegmentState.leased, .sealed, .retained, .warm, .pinned].enumerated() {
      let row = ids + Wire.number(3, UInt64(number)) + Wire.number(4, 1) + Wire.number(5, 1) + Wire.text(6, "a")
      #expect(try snapshotPart(Wire.bytes(8, row))?.segments.first?.state == state)
    }
    for (number, reason) in [HolderRow.Reason.writes, .promised, .mapped, .awaited, .kept].enumerated() {
      #expect(try snapshotPart(Wire.bytes(9, ids + Wire.number(4, UInt64(number))))?.holders.first?.reason == reason)
    }
  }

  private func snapshotPart(_ rows: [UInt8]) throws -> SnapshotPart? {
    guard case .snapshot(let part) = try NodeMessage.decode(Wire.bytes(12, Wire.number(1, 1) + rows))
    else { return nil }
    return part
  }

  @Test func `a snapshot is JSON and back`() throws {
    var samples = Samples(seed: 1)
    for _ in 0..<20 {
      let snapshot = samples.snapshot(rowCount: 2)
      #expect(try JSONDecoder().decode(Snapshot.self, from: JSONEncoder().encode(snapshot)) == snapshot)
    }
    let row = TopicRow(
      topic: try TopicName("a/b"), publishers: 1, subscriptions: 2, segments: 3, bytes: 4, quota: 5,
      retention: Retention(messages: 6, age: .seconds(7)))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    #expect(
      String(decoding: try encoder.encode(row), as: UTF8.self)
        == #"{"bytes":4,"publishers":1,"quota":5,"retention":{"ageNanoseconds":7000000000,"messages":6},"#
        + #""segments":3,"subscriptions":2,"topic":"a/b"}"#)
  }
}
