import Testing

@testable import PoolBus

@Suite struct LoanTests {
  /// In registers from call to call.
  @Test func isFourWords() {
    #expect(MemoryLayout<Loan>.size == 32)
  }
}
