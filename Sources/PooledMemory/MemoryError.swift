import Platform

/// Memory that could not be created, sealed or mapped.
public enum MemoryError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kernel refused. `action` completes "could not …".
  case refused(action: String, reason: Errno)
  /// A descriptor or a size is not what it should be, so nothing was mapped.
  case unsuitable(subject: String, problem: String)

  /// Whether the host has no memory left for it; giving memory back helps.
  public var isOutOfMemory: Bool {
    guard case .refused(_, let reason) = self else { return false }
    return reason == .noMemory || reason == .noSpace
  }

  public var description: String {
    switch self {
    case .refused(let action, let reason) where isOutOfMemory:
      "could not \(action): \(reason). The host is out of memory, or a memory limit is too low."
    case .refused(let action, let reason):
      "could not \(action): \(reason) (errno \(reason.rawValue))."
    case .unsuitable(let subject, let problem):
      "\(subject) can't be used: \(problem). Whoever gave the descriptor or the size is faulty or hostile."
    }
  }
}

/// Runs kernel calls, and says what they were for if one fails.
func attempt<Result: ~Copyable>(
  _ action: @autoclosure () -> String, _ calls: () throws(Errno) -> Result
) throws(MemoryError) -> Result {
  do {
    return try calls()
  } catch {
    throw .refused(action: action(), reason: error)
  }
}
