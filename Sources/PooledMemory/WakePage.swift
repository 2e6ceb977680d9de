import Platform
import Synchronization
import Vocabulary

/// What a subscription says to its publishers without a message: a few pages that it alone writes, and they and the node
/// read.
///
/// The first word says whether it reads without being rung. The words from ``firstPlace`` on acknowledge segments: the
/// node assigns each segment that it hands over a place here, and the subscription writes there which life of the segment
/// it has read and let go of. When all have, the publisher may begin the segment's next life without asking the node.
///
/// The two sides must not miss each other. The publisher commits, fences, and looks whether the subscription is awake;
/// the subscription says that it sleeps, fences, and looks whether something is committed. Between two such fences,
/// at least one side sees what the other wrote: either the publisher rings, or the subscription does not sleep.
///
/// Each sleep has a number, by which a publisher knows that it has rung already: a reader that is woken takes its time, and
/// what is committed meanwhile it finds when it looks around.
public enum WakePage {
  /// Room for two thousand places: of so many segments at once a subscription says here that it has read them; of more, by
  /// messages to the node. With one page's five hundred, a busy stream among a thousand idle ones came away empty.
  static let byteCount = 4 * SegmentLayout.pageByteCount
  static let awake: UInt64 = 1
  /// The word of a sleep: even, and not 0, by which a sleep has no number and each message must be rung.
  static func asleep(_ count: UInt64) -> UInt64 { count &* 2 }
  /// The first word for acknowledgements: a cache line behind the one that says whether the subscription is awake.
  public static let firstPlace: UInt32 = 8
  /// One more than the last.
  public static let endOfPlaces = UInt32(byteCount / 8)

  static func allows(place: UInt32) -> Bool { place >= firstPlace && place < endOfPlaces }

  /// What is written at a place. A place may be a segment's after it was another's, hence the segment in it; half of its
  /// number tells it from any that had the place before.
  static func word(for segment: SegmentIdentity) -> UInt64 {
    segment.id.rawValue << 32 | UInt64(segment.epoch)
  }

  /// The publisher's fence: once after a commit, before looking at any ``WakePageView``.
  public static func fence() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }
}

/// The subscription's side of its wake page; asleep at first. One thread at a time says whether it is awake.
public struct WakePageOwner: ~Copyable, Sendable {
  fileprivate let mapping: Mapping
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
  ///
  /// - Parameter count: which sleep it is: from 1, never the same again.
  public borrowing func setAsleep(_ count: UInt64) {
    // SAFETY: the word at 0 lies in the page, which is mapped for writing.
    unsafe mapping.words(at: 0).pointee.store(WakePage.asleep(count), ordering: .relaxed)
    WakePage.fence()
  }
}

extension WakePageOwner {
  /// Says that all of a segment's life is read and let go of: its memory may be written anew.
  ///
  /// - Parameter place: where the node said; what is no place has no effect.
  public borrowing func acknowledge(_ segment: SegmentIdentity, at place: UInt32) {
    guard WakePage.allows(place: place) else { return }
    // Releasing: what was read before was read from the old life.
    // SAFETY: a place lies in the page, which is mapped for writing.
    unsafe mapping.words(at: Int(place) * 8).pointee.store(WakePage.word(for: segment), ordering: .releasing)
  }
}

extension WakePageOwner {
  /// Takes back every acknowledgement.
  public borrowing func clearPlaces() {
    for place in WakePage.firstPlace..<WakePage.endOfPlaces {
      // SAFETY: a place lies in the page, which is mapped for writing.
      unsafe mapping.words(at: Int(place) * 8).pointee.store(0, ordering: .relaxed)
    }
  }
}

/// A publisher's, or the node's, view of one subscription's wake page. Any thread may look.
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

  /// Which sleep the subscription is in: 0 if it does not count them; nil if it is awake, and needs no handle. Call
  /// ``WakePage/fence()`` between the commit and this.
  ///
  /// Whatever a hostile subscription writes, it only decides whether itself is rung.
  public var sleep: UInt64? {
    // SAFETY: the word at 0 lies in the page.
    let word = unsafe mapping.words(at: 0).pointee.load(ordering: .relaxed)
    return word == WakePage.awake ? nil : word
  }

  /// Whether the subscription has read and let go of this life of a segment.
  ///
  /// Acquiring: what is written after this, no reader sees. A hostile subscription can only give up what it reads itself.
  public func hasAcknowledged(_ segment: SegmentIdentity, at place: UInt32) -> Bool {
    guard WakePage.allows(place: place) else { return false }
    // SAFETY: a place lies in the page.
    let word = unsafe mapping.words(at: Int(place) * 8).pointee.load(ordering: .acquiring)
    return word >= WakePage.word(for: segment) && word >> 32 == segment.id.rawValue & 0xFFFF_FFFF
  }
}
