/// What a process writes down about one thing that it did, in words of 64 bits.
///
/// The kind is written last: a process that is killed while it writes leaves no record, and never half of one.
struct Record: Equatable, Sendable {
  enum Kind: UInt64, Sendable {
    /// A publisher has its stream: `subject` is the stream, `value` its ``Author``.
    case opened = 1
    /// Messages are about to be published: `value` is the first's sequence, `count` how many, `size` bytes each.
    /// ``outcome`` and ``end`` follow when `publish` has returned.
    case publishing
    /// No loan was to be had: `value` is a ``Failure``.
    case refused
    /// A subscription is asked for.
    case subscribing
    /// It is there: `subject` is its number.
    case subscribed
    /// A message of stream `subject`, sequence `value`, of `size` bytes, by author `author`, each byte as it was written.
    case received
    /// A message as above that is not what was written: `count` is the offset of the first wrong byte.
    case damaged
    /// Messages of stream `subject` that a policy took: from sequence `value`, `count` of them.
    case lagged
    /// The publisher or subscription came to an error that it does not survive: `value` is a ``Failure``.
    case failed
    /// It was closed in good order.
    case closed
    /// The publisher publishes nothing more.
    case stopped
    /// A segment was told to be corrupt; the subscription goes on.
    case corrupt
  }

  enum Outcome: UInt64, Sendable {
    /// `uncertain`: its publisher was told that nobody can tell.
    case unknown, done, failed, uncertain
  }

  var kind: Kind
  var subject: UInt64 = 0
  var value: UInt64 = 0
  var count: UInt64 = 0
  var size: UInt64 = 0
  var author: UInt64 = 0
  /// When it was written: nanoseconds of the machine's monotonic clock, which all processes share.
  var time: UInt64 = 0
  var outcome = Outcome.unknown
  /// When the outcome was known.
  var end: UInt64 = 0
}

/// Who wrote a message, as its payload says: a publisher in one of its lives. Unique within an episode.
struct Author: Hashable, Sendable {
  var worker: Int
  var publisher: Int
  /// Counts how often it had to be opened anew.
  var life: Int

  var code: UInt64 { UInt64(worker) << 32 | UInt64(publisher) << 16 | UInt64(life) }

  init(worker: Int, publisher: Int, life: Int) {
    self.worker = worker
    self.publisher = publisher
    self.life = life
  }

  init(code: UInt64) {
    self.init(worker: Int(code >> 32), publisher: Int(code >> 16 & 0xffff), life: Int(code & 0xffff))
  }
}

/// Why something did not succeed, as far as the checker tells reasons apart.
enum Failure: UInt64, Sendable {
  case nodeLost = 1
  case refused
  case poolExhausted
  case outOfMemory
  case cannotJoin
  case closed
  case corrupt
  case other
}
