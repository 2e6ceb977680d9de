/// Reads along what everybody writes down, and makes the evidence of it.
final class Observer {
  private let folder: Folder
  private let episode: Episode
  private var publishers: [String: (journal: Journal, evidence: StreamEvidence)] = [:]
  private var subscribers: [String: (journal: Journal, evidence: SubscriptionEvidence)] = [:]

  init(_ folder: Folder, _ episode: Episode) {
    self.folder = folder
    self.episode = episode
  }

  /// Takes in what was written since the last time.
  func update() {
    for file in folder.files {
      guard let name = JournalName(file) else { continue }
      open(file, name)
    }
    for file in publishers.keys {
      guard let journal = publishers[file]?.journal, var evidence = publishers[file]?.evidence else { continue }
      // What was begun at the last look may have an outcome now: such a record is taken when it has one, or at the end.
      while let record = journal.record(at: journal.position) {
        if record.kind == .publishing, record.outcome == .unknown { break }
        evidence.add(record)
        _ = journal.next()
      }
      publishers[file] = (journal, evidence)
    }
    for file in subscribers.keys {
      guard let journal = subscribers[file]?.journal, var evidence = subscribers[file]?.evidence else { continue }
      while let record = journal.next() { evidence.add(record) }
      subscribers[file] = (journal, evidence)
    }
  }

  /// How many records a process has written so far.
  func count(of worker: Int) -> Int {
    publishers.values.filter { $0.evidence.author.worker == worker }.reduce(0) { $0 + $1.journal.position }
      + subscribers.values.filter { $0.evidence.worker == worker }.reduce(0) { $0 + $1.journal.position }
  }

  var streams: [StreamEvidence] { publishers.sorted { $0.key < $1.key }.map(\.value.evidence) }
  var subscriptions: [SubscriptionEvidence] { subscribers.sorted { $0.key < $1.key }.map(\.value.evidence) }

  /// All of it; what was begun and never said to be done, too.
  func evidence(harm: [Evidence.Harm], expectsRejoin: Bool) -> Evidence {
    update()
    let streams = publishers.sorted { $0.key < $1.key }.map { _, publisher in
      var evidence = publisher.evidence
      if let record = publisher.journal.record(at: publisher.journal.position) { evidence.add(record) }
      return evidence
    }
    return Evidence(streams: streams, subscriptions: subscriptions, harm: harm, expectsRejoin: expectsRejoin)
  }

  private func open(_ file: String, _ name: JournalName) {
    switch name {
    case .publisher(let author):
      guard publishers[file] == nil, let plan = episode[worker: author.worker]?.publishers[author.publisher],
        let journal = try? Journal(reading: "\(folder.path)/\(file)")
      else { return }
      let evidence = StreamEvidence(
        author: author, topic: plan.topic, mayEvict: plan.policy == .evictOldest, retains: plan.retention != nil,
        givesUp: plan.policy.givesUp)
      publishers[file] = (journal, evidence)
    case .subscriber(let worker, let index, let life):
      guard subscribers[file] == nil, let plan = episode[worker: worker]?.subscribers[index],
        let journal = try? Journal(reading: "\(folder.path)/\(file)")
      else { return }
      subscribers[file] = (
        journal,
        SubscriptionEvidence(
          worker: worker, subscriber: index, life: life, pattern: plan.pattern, mayLag: plan.backlogMessages != nil,
          receivesRetained: plan.receivesRetained)
      )
    }
  }
}
