import Foundation
import TextTable

/// What must be reached: a ratio of figures of one run.
struct Bar: Sendable {
  let title: String
  let limit: Limit
  /// The ratio in each round, whose median is judged; or the ratio of the medians, where not all was measured in turn.
  let figure: @Sendable (Results) -> Rounds

  /// The most that the figure may be, or the least that it must be.
  enum Limit: Sendable {
    case atMost(Double)
    case atLeast(Double)
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

  static func table(_ verdicts: [Verdict]) -> String {
    let table = TextTable<Verdict> { verdict in
      let limit =
        switch verdict.limit {
        case .atMost(let most): "at most \(most)"
        case .atLeast(let least): "at least \(least)"
        }
      let range = verdict.range.map { String(format: "%.3f-%.3f", $0.lowerBound, $0.upperBound) } ?? ""
      return [
        Column(title: "BAR", value: verdict.title), Column(title: "LIMIT", value: limit),
        Column(
          title: "FIGURE", value: verdict.figure.map { String(format: "%.4f", $0) } ?? "not measured", align: .right),
        Column(title: "ROUNDS", value: verdict.isInTurn ? range : "not in turn", align: .right),
        Column(title: "", value: verdict.isMet ? "met" : "MISSED"),
        Column(title: "COMPARED", value: verdict.compared),
      ]
    }
    return table.string(for: verdicts, style: Style.plain) ?? ""
  }
}

extension Results {
  /// Whether a check passes: every bar is met, and PoolBus has done all that it was asked for.
  func pass(_ verdicts: [Verdict]) -> Bool { failuresOfOurs.isEmpty && verdicts.allSatisfy(\.isMet) }
}
