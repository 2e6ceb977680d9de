/// What happens in one episode: who publishes and subscribes, and what is done to whom, when.
///
/// It follows from its seed, so that the driver and each of its processes know all of it by that one number.
struct Episode: Equatable, Sendable {
  var seed: UInt64
  /// Bytes of the pool.
  var contribution: UInt64
  /// PATTERN=BYTES, as poolbusd takes them.
  var quotas: [String]
  var workers: [WorkerPlan]
  var faults: [PlannedFault]

  subscript(worker number: Int) -> WorkerPlan? { workers.first { $0.number == number } }
}

/// A process, with its publishers and subscribers.
struct WorkerPlan: Equatable, Sendable {
  var number: Int
  var start: Moment
  var publishers: [PublisherPlan]
  var subscribers: [SubscriberPlan]
}

struct PublisherPlan: Equatable, Sendable {
  enum Policy: Equatable, Sendable, CaseIterable {
    case wait, waitShortly, fail, evictOldest

    /// Whether it waits for nothing, or not for long.
    var givesUp: Bool { self == .waitShortly || self == .fail }
  }

  enum Style: Equatable, Sendable {
    case single
    case batches(of: Int)
    /// So many loans are out for long, and are published in another order than they were made.
    case longLoans(Int)
  }

  var topic: String
  var policy: Policy
  /// Messages that the topic keeps; nil leaves it as it is.
  var retention: UInt64?
  var style: Style
  var smallest: Int
  var largest: Int
  /// One message in so many is as large as ``largest``; the others are a sixteenth of it at the most.
  var largeEvery: Int
  /// After every burst of so many messages the publisher rests for so many microseconds.
  var burst: Int
  var rest: Int
}

struct SubscriberPlan: Equatable, Sendable {
  enum Waiting: Equatable, Sendable, CaseIterable { case block, spin, adaptive }

  enum Style: Equatable, Sendable {
    case single
    case batches(limit: Int)
  }

  var pattern: String
  /// Lags beyond so many messages.
  var backlogMessages: UInt64?
  var receivesRetained: Bool
  var waiting: Waiting
  var style: Style
  /// Keeps one message in so many for ``holdMilliseconds``; 0 keeps none.
  var holdEvery: Int
  var holdMilliseconds: Int
  /// Rests for so many microseconds after each message; 0 does not.
  var rest: Int
  /// Whether its task runs on the bus's own thread.
  var onBusExecutor: Bool
}

/// When something happens.
enum Moment: Equatable, Sendable {
  /// So many microseconds after the episode's begin.
  case microseconds(Int)
  /// As soon as a process has written so many records.
  case records(Int, of: Int)
}

enum Target: Hashable, Sendable, CustomStringConvertible {
  case node
  case worker(Int)

  var description: String {
    switch self {
    case .node: "the node"
    case .worker(let number): "process \(number)"
    }
  }
}

struct PlannedFault: Equatable, Sendable {
  var moment: Moment
  var target: Target
  var fault: Fault
}

/// What is done to a process.
enum Fault: Equatable, Sendable {
  /// SIGKILL.
  case kill
  /// SIGSTOP, and SIGCONT after so many milliseconds.
  case pause(milliseconds: Int)
  /// RLIMIT_NOFILE: so many more descriptors can be opened, for so many milliseconds.
  case exhaustDescriptors(spare: Int, milliseconds: Int)
  /// It closes so many of its own descriptors, picked at random.
  case closeDescriptors(Int)
  /// RLIMIT_AS: so many more bytes of addresses can be had. For clients: they may die of it.
  case exhaustAddresses(spare: Int)
  /// RLIMIT_FSIZE: no segment larger than this can be made, for so many milliseconds. For nodes: the heap has what it
  /// needs, and the segments don't.
  case exhaustMemory(largest: Int, milliseconds: Int)
  /// SIGKILL, and a new node at the same socket after so many milliseconds.
  case restart(milliseconds: Int)

  var name: String {
    switch self {
    case .kill: "kill -9"
    case .pause: "SIGSTOP, SIGCONT"
    case .exhaustDescriptors: "descriptors exhausted"
    case .closeDescriptors: "descriptors closed"
    case .exhaustAddresses: "addresses exhausted"
    case .exhaustMemory: "memory exhausted"
    case .restart: "killed and restarted"
    }
  }

  /// Whether anything may come of it for the process itself, its end included.
  var isRuinous: Bool {
    switch self {
    case .closeDescriptors, .exhaustAddresses: true
    default: false
    }
  }
}
