import CPlatform
import Synchronization

/// Lets one thread in at a time, and its owner, if it has one, without an atomic read-modify-write.
///
/// The owner says by a plain store that it is inside, and then looks whether a rival wants in; who is not the owner, a rival,
/// says that it does, has all threads of the process pass a fence, and then looks whether the owner is inside. So one of the
/// two, at least, sees the other: without a fence of the owner's, as the rival's call is one in its place. (Dice, Huang and
/// Yang, "Asymmetric Dekker Synchronization", 2001; Kawachiya, Koseki and Onodera, "Lock Reservation", 2002.) Among
/// themselves, rivals use a mutex. Modelled in `Tests/Model/bias.pml`.
///
/// A process that may call membarrier(2) when its first mutex is made must be able to later, too: a filter that takes the
/// call away meanwhile (seccomp) ends it, as there is no other way to know that the owner is outside.
@usableFromInline
@safe
struct MutexGate: ~Copyable {
  /// What one thread says, of all those who have ever been the owner: nobody else ever writes there.
  @usableFromInline
  struct Seat: ~Copyable {
    // First, as it is waited on by its address.
    /// 1 while it is inside.
    @usableFromInline let inside = Atomic<UInt32>(0)
    @usableFromInline let thread: UInt
    /// How often it was inside since a rival last was. Written inside only.
    @usableFromInline let entries = Atomic<UInt64>(0)

    init(thread: UInt) { self.thread = thread }
  }

  /// The owner's seat, by its address; odd if a rival is inside, or wants to be, or there is no owner. Written by rivals only.
  @usableFromInline let word = Atomic<UInt>(Self.nobody)
  @usableFromInline static let nobody: UInt = 1

  @unsafe private struct Ownership {
    var bias: MutexBias
    /// Of all who have ever been the owner: none goes before the gate does, as its thread may look at it at any time.
    var seats: [UnsafeMutablePointer<Seat>] = unsafe []
  }

  /// Guards the ownership.
  private let rivals = Mutex(())
  private let ownership: UnsafeMutablePointer<Ownership>

  @usableFromInline
  init() {
    // SAFETY: allocated here, and let go of in `deinit`.
    unsafe ownership = .allocate(capacity: 1)
    unsafe ownership.initialize(to: Ownership(bias: MutexBias(mayBeOwned: Self.hasFences)))
  }

  deinit {
    // SAFETY: as it ends, nobody is inside, nor looks at a seat.
    while let seat = unsafe ownership.pointee.seats.popLast() {
      unsafe seat.deinitialize(count: 1)
      unsafe seat.deallocate()
    }
    unsafe ownership.deinitialize(count: 1)
    unsafe ownership.deallocate()
  }

  /// Enters; waits until nobody else is inside.
  ///
  /// - Returns: the owner's seat, if this is the owner: what ``leave(_:)`` is to be told.
  @inlinable @inline(__always)
  @unsafe borrowing func enter() -> UnsafeMutablePointer<Seat>? {
    let word = word.load(ordering: .relaxed)
    // SAFETY: what is even is a seat's address, and seats stay as long as the gate.
    if word & 1 == 0, let seat = unsafe UnsafeMutablePointer<Seat>(bitPattern: word),
      unsafe seat.pointee.thread == poolbus_thread()
    {
      precondition(unsafe seat.pointee.inside.load(ordering: .relaxed) == 0, "a mutex is entered by who is inside")
      unsafe seat.pointee.inside.store(1, ordering: .relaxed)
      poolbus_compiler_fence()
      // Acquiring: what was written inside is seen. It may be another's by now, as any time may have passed.
      if self.word.load(ordering: .acquiring) == word { return unsafe seat }
      unsafe giveWay(seat)
    }
    enterAsRival()
    return nil
  }

  @inlinable @inline(__always)
  @unsafe borrowing func leave(_ seat: UnsafeMutablePointer<Seat>?) {
    guard let seat = unsafe seat else { return leaveAsRival() }
    // SAFETY: this is who sits there.
    unsafe seat.pointee.entries.store(seat.pointee.entries.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    unsafe seat.pointee.inside.store(0, ordering: .releasing)
    poolbus_compiler_fence()
    // Who wants in has said so before it began to wait.
    if self.word.load(ordering: .relaxed) & 1 != 0 { unsafe wakeRival(at: seat) }
  }

  /// The owner steps back, as a rival wants in.
  @inline(never) @usableFromInline
  @unsafe borrowing func giveWay(_ seat: UnsafeMutablePointer<Seat>) {
    // SAFETY: this is who sits there.
    unsafe seat.pointee.inside.store(0, ordering: .releasing)
    unsafe wakeRival(at: seat)
  }

  @inline(never) @usableFromInline
  @unsafe borrowing func wakeRival(at seat: UnsafeMutablePointer<Seat>) {
    // SAFETY: a seat stays as long as the gate; a call for a word at which nobody waits does nothing.
    unsafe poolbus_wake_one(Self.insideWord(of: seat))
  }

  // MARK: - Rivals

  @inline(never) @usableFromInline
  borrowing func enterAsRival() {
    rivals._unsafeLock()
    guard let seat = unsafe owner else { return }
    // SAFETY: seats stay as long as the gate.
    // The owner itself comes here, too, if a rival was in its way: it knows that it is outside.
    word.store(UInt(bitPattern: seat) | 1, ordering: .relaxed)
    guard unsafe seat.pointee.thread != poolbus_thread() else { return }
    precondition(poolbus_fence_all_threads() == 0, "membarrier(2) fails, which has worked before")
    // Acquiring: what the owner has written inside is seen.
    while unsafe seat.pointee.inside.load(ordering: .acquiring) != 0 {
      unsafe poolbus_wait_on(Self.insideWord(of: seat), 1)
    }
  }

  @inline(never) @usableFromInline
  borrowing func leaveAsRival() {
    // SAFETY: the mutex is held, and the owner is outside: all here is this thread's.
    let owner = unsafe owner
    let next = unsafe ownership.pointee.bias.owner(
      after: poolbus_thread(), owner: owner?.pointee.thread,
      entries: owner?.pointee.entries.load(ordering: .relaxed) ?? 0)
    if let next {
      let seat = unsafe seat(of: next)
      unsafe seat.pointee.entries.store(0, ordering: .relaxed)
      // Releasing: the owner sees what was written inside.
      word.store(UInt(bitPattern: seat), ordering: .releasing)
    } else {
      word.store(Self.nobody, ordering: .releasing)
    }
    rivals._unsafeUnlock()
  }

  /// The owner's seat; the mutex must be held.
  private var owner: UnsafeMutablePointer<Seat>? {
    unsafe UnsafeMutablePointer(bitPattern: word.load(ordering: .relaxed) & ~1)
  }

  /// A thread's seat, its old one if it had one before; the mutex must be held.
  private borrowing func seat(of thread: UInt) -> UnsafeMutablePointer<Seat> {
    // SAFETY: the mutex guards the seats.
    if let index = unsafe ownership.pointee.seats.firstIndex(where: { unsafe $0.pointee.thread == thread }) {
      return unsafe ownership.pointee.seats[index]
    }
    let seat = UnsafeMutablePointer<Seat>.allocate(capacity: 1)
    unsafe seat.initialize(to: Seat(thread: thread))
    unsafe ownership.pointee.seats.append(seat)
    return unsafe seat
  }

  private static func insideWord(of seat: UnsafeMutablePointer<Seat>) -> UnsafePointer<UInt32> {
    // SAFETY: it is the seat's first word.
    unsafe UnsafeRawPointer(seat).assumingMemoryBound(to: UInt32.self)
  }

  /// Whether the kernel lets a process have all of its threads pass a fence.
  private static let hasFences = poolbus_register_fences() == 0
}
