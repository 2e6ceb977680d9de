import Foundation
import PoolBus
import TextTable

/// What came of one round.
struct RoundResult {
  let round: Round
  var files = 0
  var bytes = 0
  /// From the first loan until the last subscriber has said that it is done.
  var seconds = 0.0
  var unreadable: [Unreadable] = []
  var receipts: [Receipt] = []
}

/// What the publisher did, what its subscribers found, and what the node's books say in the end.
struct Report {
  let folder: Folder
  let rounds: [RoundResult]
  let handles: (count: UInt64, byteCount: UInt64)
  let pool: PoolRow

  var text: String {
    let roundTable = TextTable<RoundResult> { result in
      [
        Column(title: "HANDED OVER TO \(result.receipts.count)", value: result.round.title),
        Column(title: "FILES", value: "\(result.files)", align: .right),
        Column(title: "BYTES", value: "\(result.bytes)", align: .right),
        Column(title: "SECONDS", value: String(format: "%.2f", result.seconds), align: .right),
        Column(title: "GB/s DELIVERED", value: String(format: "%.2f", result.rate), align: .right),
      ]
    }
    let rows: [(title: String, value: UInt64)] = [
      ("handles sent", handles.count), ("handle bytes sent", handles.byteCount),
      ("segments leased", pool.segmentsLeased), ("segments recycled", pool.segmentsRecycled),
      ("segments reclaimed", pool.segmentsReclaimed), ("pool bytes", pool.contribution),
      ("pool bytes still held", pool.contribution - pool.free),
    ]
    let poolTable = TextTable<(title: String, value: UInt64)> { row in
      [
        Column(title: "IN BOTH ROUNDS", value: row.title), Column(title: "", value: "\(row.value)", align: .right),
      ]
    }
    let tables = [
      roundTable.string(for: rounds, style: Style.plain), poolTable.string(for: rows, style: Style.plain),
    ]
    let notes = skipped.map { "not handed over: \($0)\n" }
    return tables.compactMap(\.self).joined(separator: "\n") + notes.joined()
  }

  /// - Throws: what is not as it must be.
  func check() throws(Failure) {
    for result in rounds {
      guard result.files > 0 else { throw Failure("no file below \(folder.path) can be read") }
      for receipt in result.receipts {
        guard receipt.files == result.files, receipt.bytes == result.bytes, receipt.sum == result.receipts[0].sum else {
          throw Failure("a subscriber received something else than was handed over: \(receipt), not \(result)")
        }
        guard receipt.differing.isEmpty else { throw Failure(receipt.differing.joined(separator: "\n")) }
      }
    }
    guard pool.free == pool.contribution else { throw Failure("memory of the pool is still held") }
  }

  /// What could not be read in one of the rounds, named once.
  private var skipped: [String] {
    (folder.unreadable + rounds.flatMap(\.unreadable)).map(\.description).reduce(into: []) { names, name in
      if !names.contains(name) { names.append(name) }
    }
  }
}

extension RoundResult {
  /// Billions of bytes a second that reached subscribers.
  fileprivate var rate: Double { Double(bytes * receipts.count) / seconds / 1e9 }
}

extension Round {
  fileprivate var title: String {
    switch self {
    case .verified: "verified by each: SHA-256 of payload and of file"
    case .readOnce: "each byte read once by each"
    }
  }
}
