import PooledMemory

/// The words of a subscription's wake page that acknowledge segments: which are taken.
struct Places {
  private var next = WakePage.firstPlace
  private var free: [UInt32] = []

  /// A word that no segment has; nil if all are taken.
  mutating func take() -> UInt32? {
    if let place = free.popLast() { return place }
    guard next < WakePage.endOfPlaces else { return nil }
    defer { next += 1 }
    return next
  }

  mutating func giveBack(_ place: UInt32) { free.append(place) }
}
