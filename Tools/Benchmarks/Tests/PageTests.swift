import Testing

@testable import bench

@Suite struct PageTests {
  private let page = "before\n\(Page.begin)\nan older run\n\(Page.end)\nbehind\n"

  @Test func `a run takes the place of the one before`() throws {
    let results = emptyResults(.ours, .plainMemory)
    let shown = try Page.benchmarks.showing(results, in: page)
    #expect(shown.hasPrefix("before\n\(Page.begin)\n\(results.run). 0 of \(Bar.all.count) bars are met.\n"))
    #expect(shown.hasSuffix("\n\(Page.end)\nbehind\n") && !shown.contains("older"))
    #expect(Bar.all.allSatisfy { shown.contains("| \($0.title) ") })
    #expect(try Page.benchmarks.showing(results, in: shown) == shown)
  }

  @Test func `the project's page has some bars, and all that are missed`() throws {
    let bar = try #require(Bar.all.first { $0.title == "spin 1 MiB GB/s / floor" })
    #expect(!bar.isShown)
    for (rate, isThere) in [(10.0, false), (1, true)] {
      var results = emptyResults(.ours, .plainMemory)
      results.addRates([rate], of: "poolbus", .spin, size: 1 << 20)
      results.addRates([10], of: "floor", .spin, size: 1 << 20)
      #expect(try Page.project.showing(results, in: page).contains(bar.title) == isThere)
    }
  }

  @Test func `a page without a place for them is told`() {
    #expect(throws: Failure.self) { try Page.project.showing(emptyResults(.ours), in: "nothing") }
  }
}
