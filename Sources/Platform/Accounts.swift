import CPlatform
import Glibc

/// The host's users and groups, by name.
public enum Accounts {
  /// The user's number; nil if the host has no such user.
  public static func userID(named name: String) -> UInt32? {
    var id: UInt32 = 0
    // SAFETY: the call reads the name and fills the variable.
    return unsafe poolbus_user_id(name, &id) == 0 ? id : nil
  }

  /// The group's number; nil if the host has no such group.
  public static func groupID(named name: String) -> UInt32? {
    var id: UInt32 = 0
    // SAFETY: the call reads the name and fills the variable.
    return unsafe poolbus_group_id(name, &id) == 0 ? id : nil
  }
}

extension PacketSocket {
  /// The supplementary groups of who connected, by the kernel's word.
  public borrowing func peerGroups() throws(Errno) -> [UInt32] {
    var groups = [UInt32](repeating: 0, count: 64)
    while true {
      let room = groups.count
      // SAFETY: the call fills the array as far as it reaches, and says how many there are.
      let count = unsafe poolbus_peer_groups(raw, &groups, CInt(room))
      guard count >= 0 else { throw Errno(rawValue: errno) }
      if Int(count) <= room { return Array(groups[..<Int(count)]) }
      groups = [UInt32](repeating: 0, count: Int(count))
    }
  }
}
