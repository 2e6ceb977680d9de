import Platform
import Vocabulary

extension SegmentFile {
  /// Takes a segment over that an earlier node has made, from a client that has it mapped.
  ///
  /// The client may be lying: what it gives must be a memory file with the name that a node gives this segment of this
  /// origin, made by this node's own user, backed with pages, of a length that is sealed; sealed against further writers,
  /// too, or be sealed so now.
  ///
  /// - Parameters:
  ///   - descriptor: a publisher's can write, and so be sealed; a subscription's need only read.
  ///   - origin: whose it is by the client's word; nil for whosever it is.
  ///   - capacity: its length by the client's word, in bytes.
  /// - Throws: ``MemoryError``, which says what is wrong with it.
  public static func adopt(
    _ descriptor: consuming OwnedDescriptor, id: SegmentID, of origin: SegmentOrigin?, capacity: Int
  ) throws(MemoryError) -> SegmentFile {
    let subject = "\(id)"
    try requireSealedFile(descriptor, byteCount: capacity, subject: subject)
    let (name, status) = try attempt("inspect the memory file of \(subject)") { () throws(Errno) in
      (try MemoryFile.name(of: descriptor.raw), try MemoryFile.status(of: descriptor.raw))
    }
    let expected = fileName(of: id, origin)
    guard name == expected || origin == nil && name.hasPrefix("\(expected)-") else {
      throw .unsuitable(subject: subject, problem: "its file was made as '\(name)', not as '\(expected)'")
    }
    guard status.owner == MemoryFile.maker else {
      throw .unsuitable(subject: subject, problem: "user \(status.owner) made its file, not this node's own")
    }
    guard status.backedByteCount >= capacity else {
      throw .unsuitable(
        subject: subject, problem: "only \(status.backedByteCount) of its \(capacity) bytes are backed with memory")
    }
    let file = SegmentFile(id: id, capacity: capacity, descriptor: descriptor)
    try file.sealAgainstFurtherWriters()
    return file
  }

  /// Which file it is: two descriptors are of the same memory if theirs are equal.
  public borrowing func fileIdentity() throws(MemoryError) -> MemoryFile.Identity {
    try attempt("inspect the memory file of \(id)") { () throws(Errno) in try MemoryFile.status(of: raw).identity }
  }
}
