import Glibc
import Platform

/// As many descriptors under way as this user may have: it can send no more of them.
public enum DescriptorsUnderWay {
  /// Whether so many can be under way here, which takes a packet for each 253, and harm nobody else: all that this process
  /// does meanwhile has the right to exceed the limit.
  public static var canBeExhausted: Bool {
    guard limit <= 50_000, let rights = try? Rights() else { return false }
    return rights.exceedLimits
  }

  /// As high as a node may raise it meanwhile.
  private static var limit: UInt64 {
    var limit = rlimit()
    // SAFETY: the structure outlives the call.
    let result = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return result == 0 ? UInt64(limit.rlim_max) : .max
  }

  /// Runs the body on this thread, which gives up its right to exceed the limit meanwhile. Afterwards there is room again.
  public static func exhausted(_ body: () throws -> Void) throws {
    let pair = try PacketSocket.Pair()
    let file = try MemoryFile.create(name: "poolbus-test", byteCount: 4096)
    let packet = [CInt](repeating: file.raw, count: 253)
    for _ in 0...limit / UInt64(packet.count) { try sendPacket([0], descriptors: packet, over: pair.first.raw) }
    let rights = try Rights()
    try rights.withoutExceedingLimits.apply()
    defer { try? rights.apply() }
    try body()
  }
}

/// What a thread may do: capget(2), version 3.
private struct Rights {
  private typealias Call = @convention(c) (UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> CInt

  /// CAP_SYS_ADMIN and CAP_SYS_RESOURCE: either will do.
  private static let toExceedLimits: UInt32 = 1 << 21 | 1 << 24

  /// Effective, permitted and inheritable rights, the first 32 of each and then the others.
  private var words = [UInt32](repeating: 0, count: 6)

  /// Those of the thread that calls.
  init() throws(Errno) { try Self.call("capget", &words) }

  var exceedLimits: Bool { words[0] & Self.toExceedLimits != 0 }

  var withoutExceedingLimits: Rights {
    var fewer = self
    fewer.words[0] &= ~Self.toExceedLimits
    return fewer
  }

  /// Makes them those of the thread that calls.
  func apply() throws(Errno) {
    var words = words
    try Self.call("capset", &words)
  }

  private static func call(_ name: String, _ words: inout [UInt32]) throws(Errno) {
    guard let symbol = unsafe dlsym(nil, name) else { throw .noFunction }
    // SAFETY: that is what both functions are; no header of the module has them. The arrays are as long as the kernel's
    // structures, and outlive the call.
    let call = unsafe unsafeBitCast(symbol, to: Call.self)
    var header: [UInt32] = [0x2008_0522, 0]
    guard unsafe call(&header, &words) == 0 else { throw Errno(rawValue: errno) }
  }
}
