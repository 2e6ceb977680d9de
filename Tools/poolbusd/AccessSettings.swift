import PoolNode
import ToolSupport

// Who may connect, who may do what, and how much of it: as texts.

extension Settings {
  static func mode(_ text: String) throws(Disallowed) -> UInt32 {
    guard let mode = UInt32(text, radix: 8), mode <= 0o777, mode & 0o600 == 0o600 else {
      throw Disallowed(reason: "write permissions in octal digits, as in 0660; the node's own user needs 6 of them")
    }
    return mode
  }

  static func group(_ text: String) throws(Disallowed) -> UInt32 {
    let principal: Principal
    do { principal = try Principal("group:\(text)") } catch { throw Disallowed(reason: "\(error)") }
    guard case .group(let id) = principal else { throw Disallowed(reason: "write a group's name") }
    return id
  }

  static func accessRule(_ text: String) throws(Disallowed) -> AccessRule {
    do { return try AccessRule(text) } catch { throw Disallowed(reason: "\(error)") }
  }

  static func userQuota(_ text: String) throws(Disallowed) -> UserQuotaRule {
    let example = "write it as in 'group:guests bytes=64MiB segments=100 clients=8 subscriptions=64 descriptors=256'"
    let words = text.split(separator: " ")
    let people = words.prefix { !$0.contains("=") }
    guard !people.isEmpty, people.count < words.count else {
      throw Disallowed(reason: "it must say whose, and how much; \(example)")
    }
    var principals: [Principal] = []
    for word in people {
      do { principals.append(try Principal(word)) } catch { throw Disallowed(reason: "\(error); \(example)") }
    }
    var quota = UserQuota()
    for word in words[people.endIndex...] {
      let (name, amount) = try namedAmount(word, example)
      switch name {
      case "bytes": quota.bytes = amount
      case "segments": quota.segments = amount
      case "clients": quota.clients = amount
      case "subscriptions": quota.subscriptions = amount
      case "descriptors": quota.descriptors = amount
      default: throw Disallowed(reason: "'\(name)' is no quota; \(example)")
      }
    }
    return UserQuotaRule(principals: principals, quota: quota)
  }

  /// One of a client's limits, and what it shall be.
  struct ClientLimit {
    let limit: WritableKeyPath<ClientLimits, UInt64>
    let amount: UInt64

    func apply(to limits: inout ClientLimits) { limits[keyPath: limit] = amount }
  }

  static func clientLimit(_ text: String) throws(Disallowed) -> ClientLimit {
    let example =
      "write publishers, subscriptions, cursors, waiting-leases or unread-descriptors, and how many: publishers=10000"
    let (name, amount) = try namedAmount(text[...], example)
    switch name {
    case "publishers": return ClientLimit(limit: \.publishers, amount: amount)
    case "subscriptions": return ClientLimit(limit: \.subscriptions, amount: amount)
    case "cursors": return ClientLimit(limit: \.cursors, amount: amount)
    case "waiting-leases": return ClientLimit(limit: \.waitingLeases, amount: amount)
    case "unread-descriptors": return ClientLimit(limit: \.unreadDescriptors, amount: amount)
    default: throw Disallowed(reason: "'\(name)' is no limit: \(example)")
    }
  }

  /// `bytes=64MiB`, `clients=8`.
  private static func namedAmount(
    _ word: Substring, _ example: String
  ) throws(Disallowed) -> (name: String, amount: UInt64) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let amount = try? ByteSize(text: String(parts[1])).bytes else {
      throw Disallowed(reason: "'\(word)' says nothing of how much; \(example)")
    }
    return (String(parts[0]), amount)
  }
}
