import Glibc

/// What was built beside the program that runs.
package enum Executable {
  /// The program itself.
  package static let path: String = {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    // SAFETY: the buffer is as long as is said; the kernel writes no zero.
    let count = unsafe readlink("/proc/self/exe", &path, path.count - 1)
    return String(decoding: path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  package static let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
    separator: "/")

  package static var peer: String { "\(folder)/poolbus-peer" }
}
