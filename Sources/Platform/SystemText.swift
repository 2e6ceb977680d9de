import Glibc

/// The first 4096 bytes of a file below /proc or /sys; nil if it can't be read.
package func systemText(of path: String) -> String? {
  // SAFETY: the kernel copies the path.
  let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 4096)
  // SAFETY: `read` writes at most the array's length into the array.
  let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
  return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
}
