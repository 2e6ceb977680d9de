import Platform
import Synchronization

/// Whether a subscription reads without being rung: a page that it alone writes and its publishers read.
///
/// The two sides must not miss each other. The publisher commits, fences, and looks whether the subscription is awake;
/// the subscription says that it sleeps, fences, and looks whether something is committed. Between two such fences,
/// at least one side sees what the other wrote: either the publisher rings, or the subscription does not sleep.
public enum WakePage {
  static let byteCount = SegmentLayout.pageByteCount
  static let awake: UInt64 = 1

  /// The publisher's fence: once after a commit, before looking at any ``WakePageView``.
  public static func fence() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }
}

/// The subscription's side of its wake page; asleep at first. One thread at a time writes it.
public struct WakePageOwner: ~Copyable, Sendable {
  private let mapping: Mapping
  private let readOnly: OwnedDescriptor

  /// Makes the page, maps it, and seals it so that nobody else ever writes it.
  ///
  /// - Throws: ``MemoryError``.
  public init() throws(MemoryError) {
    let file = try attempt("make a wake page") { () throws(Errno) in
      try MemoryFile.create(name: "poolbus-wake", byteCount: WakePage.byteCount)
    }
    let page = try Mapping.map(
      file, byteCount: WakePage.byteCount, access: .write, populate: true, subject: "a wake page")
    let descriptor = try attempt("seal a wake page") { () throws(Errno) in
      try MemoryFile.addSeals(file.raw, [.shrink, .grow, .futureWrite, .seal])
      return try MemoryFile.reopenReadOnly(file.raw)
    }
    mapping = page
    readOnly = descriptor
  }

  /// A descriptor that only reads, to be sent to publishers; it stays this owner's.
  public var raw: CInt { readOnly.raw }

  /// Says that no handle is needed.
  ///
  /// Needs no fence: whoever sees it early skips a handle to a subscription that will look at the log before it sleeps.
  public borrowing func setAwake() {
    // SAFETY: the word at 0 lies in the page, which is mapped for writing.
    unsafe mapping.words(at: 0).pointee.store(WakePage.awake, ordering: .relaxed)
  }

  /// Says that the next commit must be rung, with a fence behind it: look at the log once more, and sleep only then.
  public borrowing func setAsleep() {
    // SAFETY: the word at 0 lies in the page, which is mapped for writing.
    unsafe mapping.words(at: 0).pointee.store(0, ordering: .relaxed)
    WakePage.fence()
  }
}

/// A publisher's view of one subscription's wake page. Any thread may look.
public final class WakePageView: Sendable {
  private let mapping: Mapping

  /// Maps a wake page that the node handed over; the descriptor is closed here.
  ///
  /// - Throws: ``MemoryError``, if it is none, or can't be mapped.
  public init(mapping descriptor: consuming OwnedDescriptor) throws(MemoryError) {
    try requireSealedFile(descriptor, byteCount: WakePage.byteCount, subject: "a wake page")
    mapping = try Mapping.map(
      descriptor, byteCount: WakePage.byteCount, access: .read, populate: true, subject: "a wake page")
  }

  /// Whether the subscription needs no handle. Call ``WakePage/fence()`` between the commit and this.
  ///
  /// Whatever a hostile subscription writes, it only decides whether itself is rung.
  public var isAwake: Bool {
    // SAFETY: the word at 0 lies in the page.
    unsafe mapping.words(at: 0).pointee.load(ordering: .relaxed) == WakePage.awake
  }
}
