/// How a subscription left, which says what may still be read of what it was handed.
public enum Departure: Hashable, Sendable, CaseIterable {
  /// It was closed: it reads nothing new, but samples may be out, and it says what it unmaps.
  case closed
  /// Its process has ended, and with it every mapping and sample.
  case died
  /// Its connection was ended, and its process lives: nothing more is heard of it, but it reads what it has mapped, and
  /// whatever is written there next.
  case cutOff
}
