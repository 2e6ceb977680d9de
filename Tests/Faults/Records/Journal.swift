import Glibc
import Platform
import Synchronization

/// The records of one publisher or one subscription, in a file that is mapped, so that writing one is a few stores and
/// what was written outlives its process, however that ends.
///
/// One thread at a time writes; other processes read along.
@safe
final class Journal: @unchecked Sendable {
  // Unchecked: the memory is shared anyway; each record is published by the store of its kind.

  /// Records that a file has room for. It is sparse: what is not written takes no space.
  static let capacity = 1 << 20
  private static let wordsPerRecord = 8

  private let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private let capacity: Int
  /// The next record to be written or read.
  private(set) var position = 0

  /// Makes a file to write to.
  convenience init(writing path: String, capacity: Int = Journal.capacity) throws(Errno) {
    try self.init(path, flags: O_RDWR | O_CREAT | O_EXCL, capacity: capacity)
  }

  /// Opens a file to read along.
  convenience init(reading path: String) throws(Errno) {
    try self.init(path, flags: O_RDONLY, capacity: nil)
  }

  private init(_ path: String, flags: CInt, capacity: Int?) throws(Errno) {
    // SAFETY: the kernel copies the path.
    let raw = unsafe open(path, flags | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw Errno(rawValue: errno) }
    let file = OwnedDescriptor(adopting: raw)
    if let capacity {
      byteCount = capacity * Self.wordsPerRecord * 8
      guard ftruncate(file.raw, byteCount) == 0 else { throw Errno(rawValue: errno) }
    } else {
      byteCount = try MemoryFile.byteCount(of: file.raw)
    }
    self.capacity = byteCount / (Self.wordsPerRecord * 8)
    guard byteCount > 0 else { throw .invalidArgument }
    let protection = capacity == nil ? PROT_READ : PROT_READ | PROT_WRITE
    // SAFETY: a new mapping, which this object alone unmaps.
    let mapped = unsafe mmap(nil, byteCount, protection, MAP_SHARED, file.raw, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw Errno(rawValue: errno) }
    unsafe base = unsafe mapped
  }

  deinit {
    // SAFETY: nobody else has the address.
    unsafe munmap(base, byteCount)
  }

  // MARK: - Writing

  var isFull: Bool { position >= capacity }

  /// Writes a record, and returns its place. A full journal takes no more: ``isFull`` says so before.
  @discardableResult
  func append(_ record: Record) -> Int {
    let place = position
    guard place < capacity else { return place }
    store(record.subject, place, 1)
    store(record.value, place, 2)
    store(record.count, place, 3)
    store(record.size, place, 4)
    store(record.author, place, 5)
    store(record.time == 0 ? Clock.monotonicNanoseconds : record.time, place, 6)
    store(record.outcome.rawValue, place, 7)
    store(record.kind.rawValue, place, 0)
    position = place + 1
    return place
  }

  /// Says how what was begun ended: when, and whether it is done.
  func conclude(_ place: Int, _ outcome: Record.Outcome) {
    guard place < capacity else { return }
    // One word, so that there is no outcome without its time: nanoseconds since the boot have two bits to spare.
    store(Clock.monotonicNanoseconds << 2 | outcome.rawValue, place, 7)
  }

  // MARK: - Reading

  /// The next record, or nil if none is written yet.
  func next() -> Record? {
    guard position < capacity, let record = record(at: position) else { return nil }
    position += 1
    return record
  }

  /// The record at a place, as it is now.
  func record(at place: Int) -> Record? {
    guard place < capacity, let kind = Record.Kind(rawValue: load(place, 0)) else { return nil }
    let conclusion = load(place, 7)
    return Record(
      kind: kind, subject: load(place, 1), value: load(place, 2), count: load(place, 3), size: load(place, 4),
      author: load(place, 5), time: load(place, 6), outcome: Record.Outcome(rawValue: conclusion & 3) ?? .unknown,
      end: conclusion >> 2)
  }

  private func store(_ value: UInt64, _ place: Int, _ word: Int) {
    // SAFETY: the place is below the capacity, and mapped memory is aligned for words. A released store is not moved
    // before the stores that precede it, and a killed process has done those, too.
    unsafe pointer(place, word).pointee.store(value, ordering: .releasing)
  }

  private func load(_ place: Int, _ word: Int) -> UInt64 {
    // SAFETY: as above.
    unsafe pointer(place, word).pointee.load(ordering: .acquiring)
  }

  private func pointer(_ place: Int, _ word: Int) -> UnsafePointer<Atomic<UInt64>> {
    // SAFETY: an `Atomic` of a word is just the word; who touches it, touches it as one.
    let offset = (place * Self.wordsPerRecord + word) * 8
    return unsafe UnsafeRawPointer(base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}
