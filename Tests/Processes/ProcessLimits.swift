import CPeer
import Foundation
import Glibc

extension PeerProcess {
  /// Lets the process open so many more descriptors, and no more; see ``unlimitDescriptors()``.
  package func limitDescriptors(spare: Int) {
    // The limit is one of numbers: those that are free below it can be had.
    let used = Set(descriptors)
    var (limit, free) = (0, 0)
    while free < spare || used.contains(limit) {
      if !used.contains(limit) { free += 1 }
      limit += 1
    }
    setLimit(RLIMIT_NOFILE, to: UInt64(limit))
  }

  package func unlimitDescriptors() { setLimit(RLIMIT_NOFILE, to: .max) }

  /// Lets the process make no file, memory files included, that is larger; see ``unlimitFiles()``.
  package func limitFiles(to byteCount: Int) { setLimit(RLIMIT_FSIZE, to: UInt64(byteCount)) }

  package func unlimitFiles() { setLimit(RLIMIT_FSIZE, to: .max) }

  /// Lets the process have so many bytes of addresses in all.
  package func limitAddresses(to byteCount: UInt64) { setLimit(RLIMIT_AS, to: byteCount) }

  /// The numbers of its descriptors.
  package var descriptors: [Int] {
    // SAFETY: the stream is open until closedir; an entry's name is read before the next readdir overwrites it.
    guard let stream = unsafe opendir("/proc/\(processID)/fd") else { return [] }
    defer { unsafe closedir(stream) }
    var numbers: [Int] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if let number = Int(name) { numbers.append(number) }
    }
    return numbers
  }

  /// How many of its descriptors are of anything but segments, which come and go with what is published.
  package var descriptorsWithoutSegments: Int {
    descriptors.count { number in
      let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(processID)/fd/\(number)")
      return target?.hasPrefix("/memfd:poolbus-segment-") != true
    }
  }

  // The soft limit and not the hard one, which only root could raise again. A node raises its own when it starts.
  private func setLimit(_ resource: __rlimit_resource, to value: UInt64) {
    poolbus_peer_limit(processID, Int32(resource.rawValue), value)
  }
}
