/// Which thread is to be a mutex's owner: a pure state machine over who enters it otherwise than as the owner.
///
/// To be in the owner's way costs as much as some tens of entries, and the owner saves a part of each of its own. So it is the
/// owner who was inside ``worthwhile`` times before another came.
struct MutexBias {
  static let worthwhile: UInt64 = 256

  private let mayBeOwned: Bool
  private var last: UInt = 0
  /// How often the last was inside, one time after the other, while there was no owner.
  private var streak: UInt64 = 0

  /// - Parameter mayBeOwned: false if nobody shall ever be the owner.
  init(mayBeOwned: Bool) { self.mayBeOwned = mayBeOwned }

  /// Who is the owner from now on; nil for nobody.
  ///
  /// - Parameters:
  ///   - thread: who was inside, otherwise than as the owner.
  ///   - owner: who was the owner so far.
  ///   - entries: how often the owner was inside since another was.
  mutating func owner(after thread: UInt, owner: UInt?, entries: UInt64) -> UInt? {
    guard let owner else {
      streak = thread == last ? streak + 1 : 1
      last = thread
      return mayBeOwned && streak >= Self.worthwhile ? thread : nil
    }
    if thread == owner || entries >= Self.worthwhile { return owner }
    streak = 1
    last = thread
    return nil
  }
}
