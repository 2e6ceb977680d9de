import Testing
import ToolSupport

@Suite struct ByteSizeTests {
  @Test(
    arguments: [
      ("0", 0), ("4096", 4096), ("4096B", 4096), ("64KiB", 65_536), ("64 kib", 65_536), ("2G", 2 << 30),
      ("1.5GiB", 3 << 29), ("1kB", 1_000), ("1MB", 1_000_000), ("3TiB", 3 << 40), ("0.5KiB", 512),
      ("18446744073709551615", UInt64.max),
    ] as [(String, UInt64)])
  func reads(text: String, bytes: UInt64) throws {
    #expect(try ByteSize(text: text).bytes == bytes)
  }

  @Test(arguments: [
    "", "MiB", "-1", "+1", "1..5MiB", ".5MiB", "1.", "12 parsecs", "1 MiB ", " 1", "1  MiB", "٣MiB", "0x10",
    "18446744073709551616", "99999999999TiB",
  ])
  func refuses(text: String) {
    #expect(throws: InvalidQuantity.self) { try ByteSize(text: text) }
  }

  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), ((1 << 20) - 1, "1.0 MiB"),
      (3 << 29, "1.5 GiB"), (UInt64.max, "16.0 EiB"),
    ] as [(UInt64, String)])
  func writes(bytes: UInt64, text: String) {
    #expect(ByteSize(bytes).description == text)
  }
}

@Suite struct TimeSpanTests {
  @Test(
    arguments: [
      ("5", 5_000_000_000), ("5s", 5_000_000_000), ("500ms", 500_000_000), ("1.5 s", 1_500_000_000),
      ("2min", 120_000_000_000), ("1h", 3_600_000_000_000), ("7d", 604_800_000_000_000), ("10us", 10_000),
      ("10µs", 10_000), ("3ns", 3),
    ] as [(String, UInt64)])
  func reads(text: String, nanoseconds: UInt64) throws {
    #expect(try TimeSpan(text: text).nanoseconds == nanoseconds)
  }

  @Test(arguments: ["", "s", "-5s", "5 m", "5 parsecs", "999999999999d"])
  func refuses(text: String) {
    #expect(throws: InvalidQuantity.self) { try TimeSpan(text: text) }
  }

  @Test(
    arguments: [
      (0, "0 ns"), (999, "999 ns"), (1_500, "1.5 µs"), (3_200_000, "3.2 ms"), (999_960_000, "1.0 s"),
      (3_200_000_000, "3.2 s"), (59_960_000_000, "1 min 0 s"), (303_000_000_000, "5 min 3 s"),
      (7_500_000_000_000, "2 h 5 min"), (273_600_000_000_000, "3 d 4 h"),
    ] as [(UInt64, String)])
  func writes(nanoseconds: UInt64, text: String) {
    #expect(TimeSpan(nanoseconds: nanoseconds).description == text)
  }

  @Test func comesFromDurations() {
    #expect(TimeSpan(.milliseconds(3_200)).nanoseconds == 3_200_000_000)
    #expect(TimeSpan(.seconds(-1)).nanoseconds == 0)
    #expect(TimeSpan(.seconds(Int64.max)).nanoseconds == .max)
  }
}
