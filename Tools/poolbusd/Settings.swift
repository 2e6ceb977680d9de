import Logging
import PoolNode
import ToolSupport
import Vocabulary

/// What the node is to be: each setting from the strongest source that has it.
struct Settings {
  private(set) var node = NodeConfiguration()
  private(set) var logLevel = Logger.Level.info
  private let sources: [SettingsSource]

  static let logLevels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")

  /// - Parameter sources: the strongest first.
  init(from sources: [SettingsSource]) throws(InvalidSetting) {
    self.sources = sources
    if let path = try read(.socket, { $0 }) { node.socketPath = path }
    if let size = try read(.contribution, Self.size) { node.contribution = size }
    if let level = try read(.logLevel, Self.level) { logLevel = level }
    if let mode = try read(.socketMode, Self.mode) { node.socketAccess.mode = mode }
    if let group = try read(.socketGroup, Self.group) { node.socketAccess.group = group }
    node.quotas = try readList(.quotas, Self.quota) ?? []
    node.access = try readList(.access, Self.accessRule).map(AccessList.init)
    node.userQuotas = try readList(.userQuotas, Self.userQuota) ?? []
    for change in try readList(.clientLimits, Self.clientLimit) ?? [] { change.apply(to: &node.clientLimits) }
  }

  /// The setting that the node can't start with, if it is one that was made.
  func blaming(_ error: NodeError) -> any Error {
    let key: SettingsSource.Key
    switch error {
    case .contributionTooSmall: key = .contribution
    case .socketPathTooLong: key = .socket
    default: return error
    }
    guard let source = sources.first(where: { (try? $0.text(key)) != nil }) else { return error }
    return InvalidSetting("\(source.place(of: key)): \(error)", exitCode: source.exitCode)
  }

  private func read<Value>(
    _ key: SettingsSource.Key, _ parse: (String) throws(Disallowed) -> Value
  ) throws(InvalidSetting) -> Value? {
    for source in sources {
      if let text = try source.text(key) { return try Self.parse(text, key, from: source, parse) }
    }
    return nil
  }

  private func readList<Value>(
    _ key: SettingsSource.Key, _ parse: (String) throws(Disallowed) -> Value
  ) throws(InvalidSetting) -> [Value]? {
    for source in sources {
      guard let texts = try source.list(key) else { continue }
      var values: [Value] = []
      for text in texts { values.append(try Self.parse(text, key, from: source, parse)) }
      return values
    }
    return nil
  }

  /// Why a text is no value of a setting: what is allowed instead.
  struct Disallowed: Error {
    let reason: String
  }

  private static func parse<Value>(
    _ text: String, _ key: SettingsSource.Key, from source: SettingsSource,
    _ parse: (String) throws(Disallowed) -> Value
  ) throws(InvalidSetting) -> Value {
    do throws(Disallowed) {
      return try parse(text)
    } catch {
      throw InvalidSetting("\(source.place(of: key)) is '\(text)': \(error.reason)", exitCode: source.exitCode)
    }
  }

  private static func size(_ text: String) throws(Disallowed) -> UInt64 {
    do {
      return try ByteSize(text: text).bytes
    } catch {
      throw Disallowed(reason: "\(error)")
    }
  }

  private static func level(_ text: String) throws(Disallowed) -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else { throw Disallowed(reason: "write one of \(logLevels)") }
    return level
  }

  private static func quota(_ text: String) throws(Disallowed) -> TopicQuota {
    guard let equals = text.lastIndex(of: "=") else {
      throw Disallowed(reason: "write a pattern and a size, as in camera/**=1GiB")
    }
    do {
      return TopicQuota(
        pattern: try TopicPattern(String(text[..<equals])),
        bytes: try ByteSize(text: String(text[text.index(after: equals)...])).bytes)
    } catch {
      throw Disallowed(reason: "\(error)")
    }
  }
}
