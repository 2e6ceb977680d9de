import Foundation
import TextTable

/// What must be reached: a ratio of figures of one run.
struct Bar: Sendable {
  let title: String
  let limit: Limit
  /// Whether the README shows it also when it is met.
  var isShown = false
  /// The ratio in each round, whose median is judged; or the ratio of the medians, where not all was measured in turn.
  let figure: @Sendable (Results) -> Rounds

  /// The most that the figure may be, or the least that it must be.
  enum Limit: Sendable, CustomStringConvertible {
    case atMost(Double)
    case atLeast(Double)

    var description: String {
      switch self {
      case .atMost(let most): "≤ \(most)"
      case .atLeast(let least): "≥ \(least)"
      }
    }
  }

  func judged(by results: Results) -> Verdict { Verdict(title: title, limit: limit, rounds: figure(results)) }
}

/// What a run says of a bar.
struct Verdict {
  let title: String
  let limit: Bar.Limit
  let rounds: Rounds

  /// Nil if it was not measured.
  var figure: Double? { rounds.values?.median }

  var range: ClosedRange<Double>? {
    guard let values = rounds.values, values.count > 1, let least = values.min(), let most = values.max() else {
      return nil
    }
    return least...most
  }

  /// Whether all that was compared was measured in turn.
  var isInTurn: Bool { rounds.groups != nil }

  var isMet: Bool {
    guard let figure else { return false }
    return switch limit {
    case .atMost(let most): figure <= most
    case .atLeast(let least): figure >= least
    }
  }

  /// Who was compared, where the bar leaves it open, and who could not be.
  var compared: String {
    let missing = rounds.missing.joined(separator: "; ")
    return rounds.names.joined(separator: " / ") + (missing.isEmpty ? "" : " (not measured: \(missing))")
  }

  /// In Markdown.
  static func table(_ verdicts: [Verdict]) -> String {
    let table = TextTable<Verdict> { verdict in
      let figure = verdict.figure.map(text) ?? "not measured"
      let range = verdict.range.map { "\(text($0.lowerBound)) to \(text($0.upperBound))" } ?? ""
      return [
        Column(title: "bar", value: verdict.title), Column(title: "limit", value: "\(verdict.limit)"),
        Column(title: "figure", value: verdict.isMet ? figure : "**\(figure)**", align: .right),
        Column(title: "rounds", value: verdict.isInTurn ? range : "not in turn"),
        Column(title: "verdict", value: verdict.isMet ? "met" : "**MISSED**"),
        Column(title: "compared", value: verdict.compared),
      ]
    }
    return table.string(for: verdicts, style: Style.pipe) ?? ""
  }

  private static func text(_ value: Double) -> String {
    String(format: value >= 10 ? "%.1f" : value >= 0.1 ? "%.2f" : "%.4f", value)
  }
}

extension Results {
  /// Whether a check passes: every bar is met, and PoolBus has done all that it was asked for.
  func pass(_ verdicts: [Verdict]) -> Bool { failuresOfOurs.isEmpty && verdicts.allSatisfy(\.isMet) }
}
