import Platform

/// A time in which clients have to wait for descriptors: told when it begins and when it is over, however many wait, and
/// however often they are put off.
struct Shortage {
  private var began: UInt64?

  var isOn: Bool { began != nil }

  /// Somebody is put off.
  ///
  /// - Returns: whether it begins with this.
  mutating func begin(now: UInt64) -> Bool {
    guard began == nil else { return false }
    began = now
    return true
  }

  /// Nobody needs to be put off any more.
  ///
  /// - Returns: for how many nanoseconds it lasted; nil if there was none.
  mutating func end(now: UInt64) -> UInt64? {
    defer { began = nil }
    return began.map { now > $0 ? now - $0 : 0 }
  }
}

extension Errno {
  /// Whether the process, or the machine, has too little of something: time may mend that.
  var isShortage: Bool {
    [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .noBufferSpace].contains(self)
  }
}
