import Glibc

/// What the process was started with.
enum Environment {
  static subscript(_ name: String) -> String? {
    // SAFETY: getenv returns NULL or a C string that lives until the variable is changed; it is copied at once.
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  static var userID: UInt32 { getuid() }
}
