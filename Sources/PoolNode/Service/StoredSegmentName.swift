import Vocabulary

/// How a segment's memory file is called in a service manager's descriptor store: `poolbus-segment-ID-LIFE`.
struct StoredSegmentName: Hashable, Sendable, CustomStringConvertible {
  private static let prefix = "poolbus-segment"

  let id: SegmentID
  /// Which life of the node made it: ids begin anew with each.
  let life: UInt64

  init(id: SegmentID, life: UInt64) {
    self.id = id
    self.life = life
  }

  /// Nil if the text is no such name.
  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 4, let id = UInt64(parts[2]), id > 0, let life = UInt64(parts[3], radix: 16) else {
      return nil
    }
    self.init(id: SegmentID(rawValue: id), life: life)
    // One name, one text: no signs, no zeros in front.
    guard description == text else { return nil }
  }

  var description: String { "\(Self.prefix)-\(id.rawValue)-\(String(life, radix: 16))" }
}
