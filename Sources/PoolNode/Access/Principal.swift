import Platform

/// Who connected, by the kernel's word at that moment.
public struct Peer: Hashable, Sendable {
  public var userID: UInt32
  /// The process's group and its supplementary ones.
  public var groupIDs: Set<UInt32>

  public init(userID: UInt32, groupIDs: Set<UInt32> = []) {
    self.userID = userID
    self.groupIDs = groupIDs
  }
}

/// Whom a rule is about.
public enum Principal: Hashable, Sendable {
  case everyone
  case user(UInt32)
  case group(UInt32)

  /// - Parameter text: `everyone`, `user:NAME` or `group:NAME`; a number may stand for the name.
  /// - Throws: ``InvalidRule``, also if this host has no such user or group.
  public init(_ text: some StringProtocol) throws(InvalidRule) {
    if text == "everyone" {
      self = .everyone
      return
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty, parts[0] == "user" || parts[0] == "group" else {
      throw InvalidRule("'\(text)' is nobody: write user:NAME, group:NAME or everyone")
    }
    let name = String(parts[1])
    let isUser = parts[0] == "user"
    guard let id = UInt32(name) ?? (isUser ? Accounts.userID(named: name) : Accounts.groupID(named: name)) else {
      throw InvalidRule("this host has no \(parts[0]) '\(name)': correct the name, or write the number")
    }
    self = isUser ? .user(id) : .group(id)
  }

  func includes(_ peer: Peer) -> Bool {
    switch self {
    case .everyone: true
    case .user(let id): peer.userID == id
    case .group(let id): peer.groupIDs.contains(id)
    }
  }
}

/// A text that is no rule of access, or no quota.
public struct InvalidRule: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
