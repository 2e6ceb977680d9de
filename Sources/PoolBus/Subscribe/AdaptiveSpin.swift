import Synchronization

/// How long spinning is worth while: about twice what it took lately, less and less when nothing came.
///
/// A wake-up across cores costs some 20 us, so a wait much longer than that is better blocked.
final class AdaptiveSpin: Sendable {
  static let longest: UInt64 = 100_000
  /// Spun even by who has learnt that it does not pay, so that a faster time is noticed.
  static let shortest: UInt64 = 1_000

  private let learnt = Atomic<UInt64>(20_000)

  /// Nanoseconds to spin now.
  var budget: UInt64 { learnt.load(ordering: .relaxed) }

  /// A message came after so many nanoseconds.
  func paid(after duration: UInt64) {
    let wanted = min(max(duration &* 2, 20_000), Self.longest)
    learnt.store((budget &* 3 &+ wanted) / 4, ordering: .relaxed)
  }

  /// Nothing came within the budget.
  func wasted() {
    learnt.store(max(budget / 2, Self.shortest), ordering: .relaxed)
  }
}
