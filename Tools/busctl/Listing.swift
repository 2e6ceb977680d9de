import ArgumentParser
import Foundation
import PoolBus
import TextTable
import ToolSupport

/// What every command that shows the node's books can be told.
struct ListingOptions: ParsableArguments {
  @OptionGroup var node: NodeOptions

  @Flag(help: "Print JSON for programs, instead of a table for people.")
  var json = false

  /// The node's books at this moment.
  func inspect(as name: String) async throws -> PoolSnapshot {
    try await node.withBus(as: name) { try await $0.inspect() }
  }

  /// Prints rows as a JSON array or as a table.
  ///
  /// - Parameter none: what to tell people when there are no rows.
  func show<Row: Encodable>(_ rows: [Row], none: String, columns: [Field<Row>]) throws {
    if json {
      try Console.print(JSON.pretty(rows))
    } else {
      try Console.print(rows.isEmpty ? none : Table.text(rows, columns: columns))
    }
  }
}

/// A column of a table.
struct Field<Row> {
  let title: String
  let alignment: Alignment
  let text: (Row) -> String

  /// A column of texts.
  static func text(_ title: String, _ text: @escaping (Row) -> String) -> Field {
    Field(title: title, alignment: .left, text: text)
  }

  /// A column of numbers.
  static func number(_ title: String, _ number: @escaping (Row) -> any CustomStringConvertible) -> Field {
    Field(title: title, alignment: .right, text: { "\(number($0))" })
  }
}

/// Tables for people.
enum Table {
  /// The rows below the columns' titles, without a line break at the end.
  static func text<Row>(_ rows: [Row], columns: [Field<Row>]) -> String {
    let table = TextTable<Row> { row in
      columns.map { Column(title: $0.title, value: padded($0.text(row)), align: $0.alignment) }
    }
    let text = table.string(for: rows, style: Columns.self) ?? ""
    return String(text.dropLast())
  }

  /// TextTable counts characters but cuts UTF-16 units: what has more of these gets spaces that may be cut instead.
  private static func padded(_ cell: String) -> String {
    let cell = EscapedText.line(cell)
    return cell + String(repeating: " ", count: cell.utf16.count - cell.count)
  }

  /// Two spaces between columns, and no other decoration.
  private enum Columns: TextTableStyle {
    static func prepare(_ text: String, for column: Column) -> String { Plain.prepare(text, for: column) }
    static func escape(_ text: String) -> String { text }
    static func begin(_ table: inout String, index: Int, columns: [Column]) {}
    static func end(_ table: inout String, index: Int, columns: [Column]) {}

    static func header(_ table: inout String, index: Int, columns: [Column]) {
      table += line(columns.map { $0.headerString(for: self) })
    }

    static func row(_ table: inout String, index: Int, columns: [Column]) {
      table += line(columns.map { $0.string(for: self) })
    }

    private static func line(_ cells: [String]) -> String {
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }
  }
}

/// JSON for programs: keys are the names that rows have in Swift, in alphabetical order.
enum JSON {
  /// For people to read, too.
  static func pretty(_ value: some Encodable) throws -> String {
    try text(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
  }

  /// On one line.
  static func line(_ value: some Encodable) throws -> String {
    try text(value, [.sortedKeys, .withoutEscapingSlashes])
  }

  private static func text(_ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
