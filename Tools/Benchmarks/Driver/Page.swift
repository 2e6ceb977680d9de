import Foundation

/// A page that shows the bars of the last run, between two marks.
enum Page: String, CaseIterable {
  /// Some of them, and all that are missed.
  case project = "../../README.md"
  /// All of them.
  case benchmarks = "README.md"

  static let (begin, end) = ("<!-- bars -->", "<!-- /bars -->")

  /// - Parameter folder: the one of the benchmarks.
  func show(_ results: Results, in folder: String) throws {
    let file = URL(fileURLWithPath: "\(folder)/\(rawValue)")
    try showing(results, in: String(contentsOf: file, encoding: .utf8)).write(
      to: file, atomically: true, encoding: .utf8)
  }

  func showing(_ results: Results, in page: String) throws -> String {
    guard let begin = page.range(of: "\(Self.begin)\n"),
      let end = page.range(of: Self.end, range: begin.upperBound..<page.endIndex)
    else { throw Failure("\(rawValue) has no place for the bars: a line \(Self.begin), and one \(Self.end)") }
    let verdicts = Bar.all.map { ($0, $0.judged(by: results)) }
    let shown = verdicts.filter { bar, verdict in self == .benchmarks || bar.isShown || !verdict.isMet }.map(\.1)
    let met = verdicts.filter(\.1.isMet).count
    let text = "\(results.run). \(met) of \(verdicts.count) bars are met.\n\n\(Verdict.table(shown))\n\n"
    return page.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: text)
  }
}
