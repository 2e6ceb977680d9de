import Platform
import Vocabulary

/// A segment mapped for reading; it stays mapped, and its bytes readable, until the last owner lets go.
///
/// Lasts through all of the segment's lives: the readers of successive epochs share it, warm.
public final class ReadMapping: Sendable {
  public let id: SegmentID
  public let capacity: Int
  let mapping: Mapping
  private let file: OwnedDescriptor?

  /// The memory file's descriptor, if it was kept.
  public var descriptor: CInt? {
    switch file {
    case .some(let file): file.raw
    case .none: nil
    }
  }

  /// Maps a segment that the node handed over.
  ///
  /// - Parameters:
  ///   - descriptor: the segment's memory file; closed here unless it is kept.
  ///   - id: what the node says it is.
  ///   - capacity: its length by the node's word, in bytes.
  ///   - populate: whether to fill the page tables now, rather than at first touch.
  ///   - keepsDescriptor: whether to keep it as long as the memory is mapped, to be given to a later node.
  ///   - onUnmap: called when the memory has been unmapped, on whichever thread let go of it last.
  /// - Throws: ``MemoryError``, if the file is not a segment of this capacity, or can't be mapped.
  public init(
    descriptor: consuming OwnedDescriptor, id: SegmentID, capacity: Int, populate: Bool,
    keepsDescriptor: Bool = false, onUnmap: (@Sendable () -> Void)? = nil
  ) throws(MemoryError) {
    try requireSealedFile(descriptor, byteCount: capacity, subject: "\(id)")
    mapping = try Mapping.map(
      descriptor, byteCount: capacity, access: .read, populate: populate, subject: "\(id)", onUnmap: onUnmap)
    self.id = id
    self.capacity = capacity
    file = keepsDescriptor ? consume descriptor : nil
    try mapping.requireSegmentHeader(subject: "\(id)")
  }

  /// The life that the segment is in, by its publisher's word.
  public var epoch: UInt32 { committedWord.epoch }

  /// Acquiring: whoever sees an epoch, or a count, sees what was written before it.
  var committedWord: EpochCount {
    // SAFETY: the word lies in the header page.
    EpochCount(word: unsafe mapping.words(at: SegmentLayout.committedOffset).pointee.load(ordering: .acquiring))
  }
}

/// Refuses a descriptor whose file could be another length than told, now or later: reading past its end would kill us.
func requireSealedFile(
  _ descriptor: borrowing OwnedDescriptor, byteCount expected: Int, subject: String
) throws(MemoryError) {
  guard SegmentLayout.allows(capacity: expected) else {
    throw .unsuitable(subject: subject, problem: "no memory of ours has \(expected) bytes")
  }
  // In this order: the length is final only once the seals are there. A file that is no memory file has none (EINVAL).
  let (seals, byteCount) = try attempt("inspect the memory file of \(subject)") { () throws(Errno) in
    (try MemoryFile.seals(of: descriptor.raw), try MemoryFile.byteCount(of: descriptor.raw))
  }
  guard seals.isSuperset(of: [.shrink, .grow]) else {
    throw .unsuitable(subject: subject, problem: "its length is not sealed")
  }
  guard byteCount == expected else {
    throw .unsuitable(subject: subject, problem: "it has \(byteCount) bytes where \(expected) were announced")
  }
}

extension Mapping {
  /// Refuses memory that is no segment, or one of a layout that this code does not know.
  ///
  /// A check against mistakes only: a hostile publisher can write what it likes here.
  borrowing func requireSegmentHeader(subject: String) throws(MemoryError) {
    // SAFETY: both words lie in the header page, which every mapped segment has.
    let magic = unsafe words(at: SegmentLayout.magicOffset).pointee.load(ordering: .relaxed)
    let version = unsafe words(at: SegmentLayout.versionOffset).pointee.load(ordering: .relaxed)
    guard magic == SegmentLayout.magic else {
      throw .unsuitable(subject: subject, problem: "it does not begin like a segment")
    }
    guard version == SegmentLayout.version else {
      throw .unsuitable(
        subject: subject, problem: "its layout is version \(version), and this program knows \(SegmentLayout.version)")
    }
  }
}
