import PoolBus
import ToolSupport

extension PoolSnapshot {
  /// Clients by their numbers.
  var clientsByID: [ClientID: ClientRow] {
    Dictionary(clients.map { ($0.client, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

extension [ClientID: ClientRow] {
  /// Columns that tell who a row's client is.
  func fields<Row>(_ client: @escaping (Row) -> ClientID?) -> [Field<Row>] {
    [
      .number("CLIENT") { client($0)?.rawValue.description ?? "gone" },
      .text("NAME") { client($0).flatMap { self[$0]?.name } ?? "" },
      .number("PID") { client($0).flatMap { self[$0]?.processID.description } ?? "" },
    ]
  }
}

/// How people read the numbers of rows.
func age(_ nanoseconds: UInt64) -> TimeSpan { TimeSpan(nanoseconds: nanoseconds) }

func counted(_ number: some BinaryInteger, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
