import ArgumentParser
import PoolBus
import ToolSupport

struct Why: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells why a segment is in the pool: who leased it, and who holds it since when.")

  @Argument(
    help: ArgumentHelp(
      "The segment as listings show it, as in 12@6c90f.3; all behind the number may be left out.", valueName: "segment")
  )
  var wanted: WantedSegment

  @OptionGroup var listing: ListingOptions

  func run() async throws {
    let snapshot = try await listing.inspect(as: "why")
    let segment = try wanted.find(in: snapshot.segments)
    if let epoch = wanted.epoch, epoch != segment.epoch {
      throw Failure("\(segment.segment) is in epoch \(segment.epoch) now, not \(epoch): its memory has been used anew")
    }
    let reasons = Reasons(of: segment, in: snapshot)
    try Console.print(listing.json ? JSON.pretty(reasons) : reasons.text)
  }
}

/// A segment, in its present life or in the one that the user says.
struct WantedSegment: ExpressibleByArgument {
  let id: SegmentID
  let epoch: UInt32?

  init?(argument: String) {
    let parts = argument.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let id = parts.first.flatMap({ SegmentID(text: String($0)) }) else { return nil }
    self.id = id
    epoch = parts.count == 1 ? nil : UInt32(parts[1])
    if parts.count > 1, epoch == nil { return nil }
  }

  /// The segment with this id; or the one with this number, if just one life of the node gave that.
  func find(in segments: [SegmentRow]) throws -> SegmentRow {
    if let segment = segments.first(where: { $0.segment == id }) { return segment }
    let alike = segments.filter { id.rawValue == UInt64($0.segment.number) }
    guard let segment = alike.first else {
      throw Failure("there is no \(id) in the pool: 'busctl segments' lists those there are")
    }
    guard alike.count == 1 else {
      let names = alike.map(\.segment.text).joined(separator: " and ")
      throw Failure("there are \(names) in the pool: say which, as some outlived the node that named them")
    }
    return segment
  }
}

/// Everything that keeps a segment where it is.
private struct Reasons: Encodable {
  let segment: SegmentRow
  let publisher: ClientRow?
  let holders: [Holder]

  struct Holder: Encodable {
    let reason: HolderRow.Reason
    let sinceNanosecondsAgo: UInt64
    let client: ClientID?
    let name: String?
    let processID: Int32?
    let subscription: SubscriptionID?
    let pattern: TopicPattern?
    let remainingNanoseconds: UInt64
  }

  init(of segment: SegmentRow, in snapshot: PoolSnapshot) {
    self.segment = segment
    let clients = snapshot.clientsByID
    publisher = snapshot.streams.first { $0.stream == segment.stream }?.client.flatMap { clients[$0] }
    holders = snapshot.holders.filter { $0.segment == segment.segment }.map { holder in
      Holder(
        reason: holder.reason, sinceNanosecondsAgo: holder.sinceNanosecondsAgo, client: holder.client,
        name: holder.client.flatMap { clients[$0]?.name }, processID: holder.client.flatMap { clients[$0]?.processID },
        subscription: holder.subscription,
        pattern: snapshot.subscriptions.first { $0.subscription == holder.subscription }?.pattern,
        remainingNanoseconds: holder.remainingNanoseconds)
    }
  }

  var text: String {
    let publisher = publisher.map { "\($0.client) (\(EscapedText.line($0.name)), pid \($0.processID))" }
    return """
      segment    \(segment.segment.text).\(segment.epoch)
      state      \(segment.state) for \(age(segment.stateNanosecondsAgo))
      holds      \(counted(segment.messages, "message")) of \(segment.topic), \(segment.stream)
      size       \(ByteSize(segment.capacity)) of the pool
      leased to  \(publisher ?? "a publisher that is gone"), \(age(segment.leasedNanosecondsAgo)) ago

      \(holders.isEmpty ? unheld : table)
      """
  }

  private var table: String {
    Table.text(
      holders,
      columns: [
        .text("HELD BY") { $0.subscription.map { "\($0)" } ?? ($0.reason == .kept ? "nobody yet" : "publisher") },
        .text("PATTERN") { $0.pattern?.text ?? "" },
        .number("CLIENT") { $0.client?.rawValue.description ?? "" },
        .text("NAME") { $0.name ?? "" },
        .number("PID") { $0.processID?.description ?? "" },
        .text("SINCE") { "\(age($0.sinceNanosecondsAgo)) ago" },
        .text("BECAUSE") { text($0) },
      ])
  }

  private func text(_ holder: Holder) -> String {
    switch holder.reason {
    case .writes: "it writes it"
    case .promised where segment.state == .leased: "it is promised what is written to it"
    case .promised: "it has not released it yet"
    case .mapped: "done with it, but keeps it mapped for its next life"
    case .awaited:
      "since the node started anew it is not back yet: waited for another \(age(holder.remainingNanoseconds))"
    case .kept:
      "subscribers of the node before may come back: waited for another \(age(holder.remainingNanoseconds))"
    }
  }

  /// Why a segment that nobody holds is still in the pool.
  private var unheld: String {
    switch segment.state {
    case .leased: "nobody holds it: it is on its way to its publisher"
    case .sealed: "nobody holds it: it is about to be reclaimed"
    case .retained: "nobody holds it: the topic retains it for late joiners, until memory is needed"
    case .warm: "nobody holds it: its memory is kept warm for its publisher's next segment, until it is needed"
    case .pinned: "nobody holds it: its last mapping is about to go"
    }
  }
}
