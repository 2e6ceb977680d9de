import Glibc
import SystemPackage

/// A system call's error.
public typealias Errno = SystemPackage.Errno

/// The result of a system call, or the error it left.
@inline(__always)
func check(_ result: CInt) throws(Errno) -> CInt {
  guard result >= 0 else { throw Errno(rawValue: errno) }
  return result
}
