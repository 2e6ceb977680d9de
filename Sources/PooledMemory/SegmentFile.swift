import Platform
import Synchronization
import Vocabulary

/// A segment on the node's side: its memory file, made, backed with pages, sealed and handed out.
///
/// Owns the descriptor. The memory lives on while anybody maps it.
public struct SegmentFile: ~Copyable, Sendable {
  public let id: SegmentID
  /// The segment's length in bytes, header and slots included.
  public let capacity: Int
  private let descriptor: OwnedDescriptor
  /// The header page, mapped before the file is sealed: for the node's own word. Nil if it is an earlier node's file.
  private let header: Mapping?

  /// Makes a segment, backs all of it with pages, and seals its length.
  ///
  /// Takes as long as the kernel needs to clear the pages: do it ahead, not in a publisher's way.
  ///
  /// - Parameters:
  ///   - origin: is part of the file's name, which tells a later node.
  ///   - capacity: in bytes, as ``SegmentLayout/capacity(forPayload:alignment:attributes:)`` gives it.
  /// - Throws: ``MemoryError``; ``MemoryError/isOutOfMemory`` tells when the host has no room.
  public static func create(
    id: SegmentID, of origin: SegmentOrigin? = nil, capacity: Int
  ) throws(MemoryError) -> SegmentFile {
    guard SegmentLayout.allows(capacity: capacity) else {
      throw .unsuitable(subject: "\(id)", problem: "a segment can't have \(capacity) bytes")
    }
    // Memory files have no limit of their own: short of memory, the kernel would rather kill a process, any process,
    // than let the populating below fail. So ask first. Two nodes that ask at once can still be too many.
    if let available = HostMemory.availableByteCount, capacity > available {
      throw .refused(action: "back \(id): \(capacity) bytes are wanted and \(available) available", reason: .noMemory)
    }
    let file = try attempt("create \(id) of \(capacity) bytes") { () throws(Errno) in
      let file = try MemoryFile.create(name: fileName(of: id, origin), byteCount: capacity)
      try MemoryFile.addSeals(file.raw, [.shrink, .grow])
      return file
    }
    HugePages.gather(for: file, byteCount: capacity, subject: "\(id)")
    try attempt("back \(id) with \(capacity) bytes of memory") { () throws(Errno) in
      try MemoryFile.populate(file.raw, byteCount: capacity)
    }
    let header = try writeHeader(to: file, of: id)
    return SegmentFile(id: id, capacity: capacity, descriptor: file, header: header)
  }

  private static let namePrefix = "poolbus-segment-"

  /// By which a service manager that keeps it for a later node names it.
  public static func name(of id: SegmentID) -> String { "\(namePrefix)\(id.rawValue)" }

  /// The memory file's own name: shown in `/proc/PID/maps`, and by which a later node knows whose it is, as nobody can change
  /// it. It holds as much of a long topic as there is room for.
  static func fileName(of id: SegmentID, _ origin: SegmentOrigin?) -> String {
    guard let origin else { return name(of: id) }
    let whole = "\(name(of: id))-\(origin.stream.text)-\(origin.topic)"
    let limit = MemoryFile.maximumNameByteCount
    let end = whole.utf8.index(whole.startIndex, offsetBy: limit, limitedBy: whole.endIndex) ?? whole.endIndex
    // A character that the end lies within is left out.
    return String(whole.unicodeScalars[..<end])
  }

  /// The segment that a file of this name is; nil if it is none.
  public static func id(named name: String) -> SegmentID? {
    guard name.hasPrefix(namePrefix), let number = UInt64(name.dropFirst(namePrefix.count)), number > 0 else {
      return nil
    }
    let id = SegmentID(rawValue: number)
    // One name, one text: no signs, no zeros in front.
    return Self.name(of: id) == name ? id : nil
  }

  /// - Parameter header: nil for a file of an earlier node's, which can't be mapped for writing any more.
  init(id: SegmentID, capacity: Int, descriptor: consuming OwnedDescriptor, header: consuming Mapping? = nil) {
    self.id = id
    self.capacity = capacity
    self.descriptor = descriptor
    self.header = header
  }

  private static func writeHeader(to file: borrowing OwnedDescriptor, of id: SegmentID) throws(MemoryError) -> Mapping {
    let mapping = try Mapping.map(
      file, byteCount: SegmentLayout.headerByteCount, access: .write, populate: false, subject: "\(id)")
    // SAFETY: both words lie in the header page, which is mapped for writing.
    unsafe mapping.words(at: SegmentLayout.magicOffset).pointee.store(SegmentLayout.magic, ordering: .relaxed)
    unsafe mapping.words(at: SegmentLayout.versionOffset).pointee.store(SegmentLayout.version, ordering: .relaxed)
    return mapping
  }

  /// Says in the header how many subscriptions have joined the stream. Call it before looking at what is committed: see
  /// ``SegmentWriter/joins``. Without effect in an earlier node's file, which its publisher does not renew.
  public borrowing func noteJoins(_ count: UInt64) {
    note(count, at: SegmentLayout.joinsOffset)
  }

  /// Says in the header that the node takes nothing more of the publisher's. Call it before looking at what is
  /// committed: see ``SegmentWriter/isClosed``. Without effect in an earlier node's file, whose publisher has to ask the
  /// kernel whether the node has hung up.
  public borrowing func noteClosed() { note(1, at: SegmentLayout.closedOffset) }

  private borrowing func note(_ value: UInt64, at offset: Int) {
    switch header {
    case .some(let header):
      // SAFETY: the node's words lie in the header page, which is mapped for writing.
      unsafe header.words(at: offset).pointee.store(value, ordering: .relaxed)
      WakePage.fence()
    case .none: break
    }
  }

  /// The memory file's descriptor, open for writing: for the publisher that leases the segment, and nobody else.
  public var raw: CInt { descriptor.raw }

  /// Seals the file so that nobody can map it for writing, write to it or punch holes into it any more.
  ///
  /// The publisher's mapping, made before, stays writable. Call it when the publisher has mapped the segment and before
  /// anybody else is handed it (once more does no harm): through /proc, even a read-only descriptor could be reopened for writing.
  public borrowing func sealAgainstFurtherWriters() throws(MemoryError) {
    try attempt("seal \(id)") { () throws(Errno) in
      guard try !MemoryFile.seals(of: descriptor.raw).contains(.seal) else { return }
      try MemoryFile.addSeals(descriptor.raw, [.futureWrite, .seal])
    }
  }

  /// A descriptor that only reads, for subscribers.
  public borrowing func readOnlyDescriptor() throws(MemoryError) -> OwnedDescriptor {
    try attempt("open \(id) for reading") { () throws(Errno) in
      try MemoryFile.reopenReadOnly(descriptor.raw)
    }
  }
}
