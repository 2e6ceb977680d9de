import Testing

@testable import bench

@Suite struct HostPagesTests {
  private let memory = "MemTotal:       32000000 kB\nMemFree:         5000000 kB\nMemAvailable:   8000000 kB\n"

  private func most(_ files: [String: String]) -> Int {
    HostPages.most { files[$0] ?? ($0 == "/proc/meminfo" ? memory : nil) }
  }

  @Test func `half of what is free is taken`() {
    #expect(most([:]) == 4_000_000 << 10)
    #expect(most(["/proc/meminfo": "MemTotal: 1 kB\n"]) == 0)
  }

  @Test func `nothing is taken where a group, or one around it, has a limit`() {
    let groups = ["/proc/self/cgroup": "0::/a/b\n"]
    #expect(most(groups.merging(["/sys/fs/cgroup/a/b/memory.max": "max\n"]) { $1 }) == 4_000_000 << 10)
    for folder in ["", "/a", "/a/b"] {
      #expect(most(groups.merging(["/sys/fs/cgroup\(folder)/memory.max": "4294967296\n"]) { $1 }) == 0)
    }
    let first = ["/proc/self/cgroup": "4:memory:/a\n0::/\n"]
    let limit = "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"
    #expect(most(first.merging([limit: "9223372036854771712\n"]) { $1 }) == 4_000_000 << 10)
    #expect(most(first.merging([limit: "4294967296\n"]) { $1 }) == 0)
  }
}
