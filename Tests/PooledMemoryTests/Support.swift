import Glibc
import Platform
import PooledMemory
import Synchronization
import Vocabulary

/// A segment as it stands in steady state: mapped by its publisher, sealed, and mapped by a reader.
struct OpenSegment: ~Copyable {
  let file: SegmentFile
  let writer: SegmentWriter
  let reader: SegmentReader

  init(capacity: Int, id: UInt64 = 1, epoch: UInt32 = 1) throws {
    let file = try SegmentFile.create(id: SegmentID(rawValue: id), capacity: capacity)
    let identity = SegmentIdentity(id: file.id, epoch: epoch)
    let writer = try SegmentWriter(mapping: duplicate(file.raw), capacity: capacity, identity: identity)
    try file.sealAgainstFurtherWriters()
    let reader = try SegmentReader(
      mapping: file.readOnlyDescriptor(), capacity: capacity, identity: identity, populate: false)
    self.file = file
    self.writer = writer
    self.reader = reader
  }
}

func duplicate(_ descriptor: CInt) -> OwnedDescriptor {
  OwnedDescriptor(adopting: fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
}

extension SegmentReader {
  /// Maps a segment and reads one life of it.
  init(
    mapping descriptor: consuming OwnedDescriptor, capacity: Int, identity: SegmentIdentity, populate: Bool
  ) throws(MemoryError) {
    let mapping = try ReadMapping(descriptor: descriptor, id: identity.id, capacity: capacity, populate: populate)
    self.init(mapping: mapping, epoch: identity.epoch)
  }
}

extension SegmentWriter {
  func reserve(byteCount: Int, alignment: Int) -> Reservation? {
    reserve(byteCount: byteCount, alignment: alignment, attributes: Span())
  }

  /// Reserves, fills and commits; false if there was no room.
  @discardableResult
  func append(
    _ payload: [UInt8], attributes: [UInt8] = [], sequence: UInt64, publishTime: UInt64 = 0, elementStride: UInt32 = 0
  ) -> Bool {
    guard let room = reserve(byteCount: payload.count, alignment: 64, attributes: attributes) else {
      return false
    }
    fill(room, with: payload)
    commit(
      room, byteCount: payload.count, sequence: sequence, publishTime: publishTime, elementStride: elementStride)
    return true
  }

  // An array, as the macros of Swift Testing can't carry spans.
  func reserve(byteCount: Int, alignment: Int, attributes: [UInt8]) -> Reservation? {
    reserve(byteCount: byteCount, alignment: alignment, attributes: attributes.span)
  }

  func fill(_ room: Reservation, with payload: [UInt8]) {
    // SAFETY: the only span of this reservation, used on the spot.
    var span = unsafe mutableBytes(of: room)
    for index in payload.indices { span.storeBytes(of: payload[index], toByteOffset: index, as: UInt8.self) }
  }
}

extension SegmentReader {
  func payload(at index: UInt32) throws -> [UInt8] { copy(bytes(of: try slot(at: index))) }
}

func copy(_ span: RawSpan) -> [UInt8] {
  // SAFETY: the bytes are copied within the closure.
  unsafe span.withUnsafeBytes { unsafe Array($0) }
}

func address(of span: RawSpan) -> Int {
  // SAFETY: the pointer is only looked at.
  unsafe span.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
}

/// SplitMix64: a test's random numbers, the same for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A writable mapping of a segment outside of all rules, as a hostile publisher has it.
@safe
final class HostileMapping {
  private let base: UnsafeMutableRawPointer
  let byteCount: Int

  init(of descriptor: CInt, byteCount: Int) {
    // SAFETY: a fresh mapping, checked in the next line.
    unsafe base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    unsafe precondition(base != MAP_FAILED)
    self.byteCount = byteCount
  }

  deinit { unsafe munmap(base, byteCount) }

  /// madvise(2) on all of it; 0 or the errno.
  func advise(_ advice: CInt) -> CInt { unsafe madvise(base, byteCount, advice) == 0 ? 0 : errno }

  subscript<Word: BitwiseCopyable>(_ offset: Int, as type: Word.Type) -> Word {
    get {
      precondition(offset >= 0 && offset + MemoryLayout<Word>.size <= byteCount)
      return unsafe base.loadUnaligned(fromByteOffset: offset, as: type)
    }
    set {
      precondition(offset >= 0 && offset + MemoryLayout<Word>.size <= byteCount)
      unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: type)
    }
  }

  /// Writes a whole slot; its checksum is right unless `checksum` says otherwise.
  func forge(_ entry: SlotEntry, at index: UInt32, epoch: UInt32, checksum: UInt64? = nil) {
    let offset = byteCount - 64 * (Int(index) + 1)
    self[offset, as: UInt64.self] = entry.sequence
    self[offset + 8, as: UInt64.self] = entry.offset
    self[offset + 16, as: UInt64.self] = entry.byteCount
    self[offset + 24, as: UInt64.self] = entry.publishTime
    self[offset + 32, as: UInt64.self] = entry.attributesOffset
    self[offset + 40, as: UInt32.self] = entry.attributesByteCount
    self[offset + 44, as: UInt32.self] = entry.elementStride
    self[offset + 48, as: UInt32.self] = entry.run
    self[offset + 52, as: UInt32.self] = entry.isLast
    self[offset + 56, as: UInt64.self] = checksum ?? entry.expectedChecksum(at: index, epoch: epoch)
  }

  func forgeCommitted(epoch: UInt32, count: UInt32) { self[64, as: UInt64.self] = UInt64(epoch) << 32 | UInt64(count) }
}

/// Runs each body on a thread of its own, and returns when all have ended.
func onThreads(_ bodies: [@Sendable () -> Void]) {
  final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  let threads = bodies.map { body in
    var thread = pthread_t()
    // SAFETY: the thread takes over the retained body.
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    precondition(result == 0)
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
}

/// A file below /proc as text.
func processFile(_ path: String) -> String {
  let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
  precondition(file >= 0)
  defer { close(file) }
  var text: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    // SAFETY: `read` writes at most the array's length into the array.
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
    guard count > 0 else { return String(decoding: text, as: UTF8.self) }
    text += buffer[..<count]
  }
}
