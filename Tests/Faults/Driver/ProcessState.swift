import Platform
import TestProcesses

/// What the kernel says of a process.
extension PeerProcess {
  /// What its descriptors name.
  var openFiles: [String] { descriptors.map { systemLink("/proc/\(processID)/fd/\($0)") } }

  /// How many segments it has mapped.
  var mappedSegments: Int {
    systemText("/proc/\(processID)/maps").split(separator: "\n").count { $0.contains("poolbus-segment") }
  }

  /// Lets it have so many more bytes of addresses.
  func limitAddresses(spare: Int) {
    let pages = systemText("/proc/\(processID)/statm").split(separator: " ").first.flatMap { UInt64($0) } ?? 0
    limitAddresses(to: pages * UInt64(Memory.pageByteCount) + UInt64(spare))
  }
}
