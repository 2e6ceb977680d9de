import Glibc

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

/// The first 4096 bytes of a file below /proc or /sys; nil if it can't be read.
func systemText(of path: String) -> String? {
  let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 4096)
  // SAFETY: `read` writes at most the array's length into the array.
  let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
  return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
}
