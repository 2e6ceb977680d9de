import Platform

/// What the host's memory is up to, as the kernel tells it.
package enum HostMemory {
  /// How many bytes this process can have without taking them from anybody, or reaching a limit of its control groups; nil
  /// if the kernel doesn't say.
  package static var availableByteCount: Int? {
    let host = systemText(of: "/proc/meminfo").flatMap(availableByteCount(in:))
    return [host, MemoryGroup.availableByteCount()].compactMap(\.self).min()
  }

  package static func availableByteCount(in text: String) -> Int? {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }) else { return nil }
    let words = line.split(separator: " ")
    guard words.count == 3, words[2] == "kB", let kilobytes = Int(words[1]) else { return nil }
    let (bytes, overflow) = kilobytes.multipliedReportingOverflow(by: 1024)
    return overflow ? nil : bytes
  }
}
