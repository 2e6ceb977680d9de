import CPeer
import Glibc
import Platform
import TestProcesses

/// Does a fault to a process, for real, from outside of it.
enum Injector {
  /// Lets a process open so many more descriptors.
  static func limitDescriptors(of process: PeerProcess, spare: Int) {
    // The limit is one of numbers: those that are free below it can be had.
    let used = Set(numbers(of: process))
    var (limit, free) = (0, 0)
    while free < spare || used.contains(limit) {
      if !used.contains(limit) { free += 1 }
      limit += 1
    }
    setLimit(RLIMIT_NOFILE, of: process, to: UInt64(limit))
  }

  /// Lets a process have so many more bytes of addresses.
  static func limitAddresses(of process: PeerProcess, spare: Int) {
    let pages = systemText("/proc/\(process.processID)/statm").split(separator: " ").first.flatMap { UInt64($0) } ?? 0
    setLimit(RLIMIT_AS, of: process, to: pages * UInt64(Memory.pageByteCount) + UInt64(spare))
  }

  /// Lets a process make no file, memory files included, that is larger.
  static func limitFiles(of process: PeerProcess, largest: Int) {
    setLimit(RLIMIT_FSIZE, of: process, to: UInt64(largest))
  }

  static func unlimitDescriptors(of process: PeerProcess) { setLimit(RLIMIT_NOFILE, of: process, to: .max) }

  static func unlimitFiles(of process: PeerProcess) { setLimit(RLIMIT_FSIZE, of: process, to: .max) }

  /// The descriptors of a process, by what they name.
  static func descriptors(of process: PeerProcess) -> [String] {
    let folder = "/proc/\(process.processID)/fd"
    return (try? Folder(existing: folder))?.files.map { systemLink("\(folder)/\($0)") } ?? []
  }

  /// How many segments a process has mapped.
  static func mappedSegments(of process: PeerProcess) -> Int {
    systemText("/proc/\(process.processID)/maps").split(separator: "\n").count { $0.contains("poolbus-segment") }
  }

  // The soft limit and not the hard one, which only root could raise again. The node raises its own when it starts.
  private static func setLimit(_ resource: __rlimit_resource, of process: PeerProcess, to value: UInt64) {
    poolbus_peer_limit(process.processID, Int32(resource.rawValue), value)
  }

  private static func numbers(of process: PeerProcess) -> [Int] {
    (try? Folder(existing: "/proc/\(process.processID)/fd"))?.files.compactMap { Int($0) } ?? []
  }
}
