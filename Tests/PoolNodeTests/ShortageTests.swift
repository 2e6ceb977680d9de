import Platform
import Testing

@testable import PoolNode

@Suite struct ShortageTests {
  @Test func itIsToldOnceWhenItBeginsAndOnceWhenItIsOver() {
    var shortage = Shortage()
    let none = shortage.end(now: 5)
    #expect(none == nil && !shortage.isOn)
    let told = (10...1_000).filter { shortage.begin(now: UInt64($0)) }
    #expect(told == [10] && shortage.isOn)
    let ends = (1_010...1_020).map { shortage.end(now: UInt64($0)) }
    #expect(ends.first == 1_000 && ends.dropFirst().allSatisfy { $0 == nil } && !shortage.isOn)
    let isToldAgain = shortage.begin(now: 2_000)
    #expect(isToldAgain)
  }

  /// What is one client's own trouble must not keep others out.
  @Test func onlyWhatTimeMendsIsAShortage() {
    for error in [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .noBufferSpace] {
      #expect(error.isShortage, "\(error)")
    }
    for error in [Errno.noSuchProcess, .socketNotConnected, .connectionReset, .invalidArgument] {
      #expect(!error.isShortage, "\(error)")
    }
  }
}
