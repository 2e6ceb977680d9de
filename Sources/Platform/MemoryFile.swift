import CPlatform
import Glibc

/// Memory files: memory with a descriptor and no name, which can be passed to other processes and sealed.
public enum MemoryFile {
  public struct Seals: OptionSet, Sendable {
    public let rawValue: CInt
    public init(rawValue: CInt) { self.rawValue = rawValue }

    /// No more seals.
    public static let seal = Seals(rawValue: 0x01)
    public static let shrink = Seals(rawValue: 0x02)
    public static let grow = Seals(rawValue: 0x04)
    /// No writes and no new writable mappings; those that exist stay.
    public static let futureWrite = Seals(rawValue: 0x10)
  }

  /// The kernel takes no longer name, in bytes.
  public static let maximumNameByteCount = 249

  /// Makes a memory file; `name` is shown in `/proc/PID/maps`.
  public static func create(name: String, byteCount: Int) throws(Errno) -> OwnedDescriptor {
    // SAFETY: the kernel copies the name before the call returns.
    let file = OwnedDescriptor(adopting: try check(unsafe poolbus_memory_file(name)))
    _ = try check(ftruncate(file.raw, byteCount))
    // Where a descriptor was closed under its user's feet, as an eventfd of a library's, its number can be this file's next,
    // and the user goes on to write(2) to it: that shall be at the end, where it needs growth, which whoever shares the file
    // seals off.
    _ = try check(lseek(file.raw, 0, SEEK_END) < 0 ? -1 : 0)
    return file
  }

  /// Backs the file with pages, so that lack of memory is an error here and not a signal at the first touch.
  public static func populate(_ file: CInt, byteCount: Int) throws(Errno) {
    _ = try check(poolbus_populate(file, Int64(byteCount)))
  }

  public static func addSeals(_ file: CInt, _ seals: Seals) throws(Errno) {
    _ = try check(poolbus_add_seals(file, seals.rawValue))
  }

  /// - Throws: `Errno.invalidArgument` if the descriptor is no memory file's.
  public static func seals(of file: CInt) throws(Errno) -> Seals {
    Seals(rawValue: try check(poolbus_seals(file)))
  }

  /// A descriptor of the same file that can only read.
  public static func reopenReadOnly(_ file: CInt) throws(Errno) -> OwnedDescriptor {
    OwnedDescriptor(adopting: try check(poolbus_reopen_read_only(file)))
  }

  public static func byteCount(of file: CInt) throws(Errno) -> Int { try status(of: file).byteCount }

  /// Which file it is, among all that this machine has now.
  public struct Identity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
  }

  public struct Status: Sendable {
    public let identity: Identity
    public let byteCount: Int
    /// Bytes that are backed with pages.
    public let backedByteCount: Int
    /// Who made it.
    public let owner: UInt32
  }

  public static func status(of file: CInt) throws(Errno) -> Status {
    var status = stat()
    // SAFETY: the structure outlives the call.
    _ = try check(unsafe fstat(file, &status))
    return Status(
      identity: Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)), byteCount: Int(status.st_size),
      backedByteCount: Int(status.st_blocks) * 512, owner: status.st_uid)
  }

  /// The name that the file was made with; nobody can change it.
  ///
  /// - Throws: `Errno.invalidArgument` if the descriptor is no memory file's.
  public static func name(of file: CInt) throws(Errno) -> String {
    var buffer = [CChar](repeating: 0, count: 512)
    // SAFETY: the kernel writes no more than it is told there is room.
    let count = try check(CInt(unsafe readlink("/proc/self/fd/\(file)", &buffer, buffer.count)))
    let path = String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let (prefix, suffix) = ("/memfd:", " (deleted)")
    guard path.hasPrefix(prefix), path.hasSuffix(suffix) else { throw .invalidArgument }
    return String(path.dropFirst(prefix.count).dropLast(suffix.count))
  }

  /// Whom files that this process makes belong to.
  public static var maker: UInt32 { geteuid() }
}

/// The machine's memory.
public enum Memory {
  public static let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
  public static let physicalByteCount = Int(sysconf(Int32(_SC_PHYS_PAGES))) * pageByteCount
}
