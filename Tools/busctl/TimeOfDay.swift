import Glibc

/// A moment, as a clock on the wall here shows it: `14:03:22.123456`.
struct TimeOfDay: CustomStringConvertible {
  let description: String

  init(nanosecondsSince1970 nanoseconds: UInt64) {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    // SAFETY: both arguments are used only within the call, and the time zone's name is not touched.
    var parts = unsafe tm()
    _ = unsafe localtime_r(&seconds, &parts)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    let microseconds = Int32(nanoseconds % 1_000_000_000 / 1_000)
    description =
      "\(Self.padded(hour, 2)):\(Self.padded(minute, 2)):\(Self.padded(second, 2)).\(Self.padded(microseconds, 6))"
  }

  private static func padded(_ number: Int32, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(digits - text.count, 0)) + text
  }
}
