import Foundation

/// What the publisher did; one line of JSON on its standard output.
struct PublishReport: Codable {
  var files = 0
  var bytes = 0
  var seconds = 0.0
  var handles: UInt64 = 0
  var handleBytes: UInt64 = 0
  /// Files that could not be read, and why.
  var unreadable: [String] = []
}

/// What a subscriber found; one line of JSON on its standard output.
struct ReceiveReport: Codable {
  var files = 0
  var bytes = 0
  /// Files that the publisher says it has handed over.
  var expected = -1
  /// Files whose payload is not what is on disk.
  var differing: [String] = []
}

extension Encodable {
  func print() throws {
    try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(self) + [UInt8(ascii: "\n")])
  }
}
