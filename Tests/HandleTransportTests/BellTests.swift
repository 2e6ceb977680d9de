import Testing

@testable import HandleTransport

@Suite struct BellTests {
  @Test func aHandleRingsTheBellItIsSentTo() throws {
    let world = try World(.inProcess)
    let (bell, other) = (try Bell(at: world.path("a")), try Bell(at: world.path("b")))
    let ringer = BellRinger()
    #expect(ring(bell.path, ringer, [1, 2, 3]))
    #expect(next(bell) == [1, 2, 3])
    #expect(next(bell) == nil && next(other) == nil)
    #expect(ringer.sentCount == 1 && ringer.sentByteCount == 3)
  }

  @Test func whereThereIsNoBellNothingRings() throws {
    let world = try World(.inProcess)
    let path = world.path()
    let ringer = BellRinger()
    #expect(!ring(path, ringer, [1]))
    #expect(ringer.sentCount == 0 && ringer.sentByteCount == 0)
    #expect(throws: TransportError.self) { _ = try Bell(at: "/nowhere/at/all") }
    #expect(throws: TransportError.self) { _ = try Bell(at: "") }
  }

  @Test func aBellThatIsHungAnewRingsAgain() throws {
    let world = try World(.inProcess)
    let path = world.path()
    let ringer = BellRinger()
    for round in UInt8(1)...3 {
      let bell = try Bell(at: path)
      #expect(ring(path, ringer, [round]) && ring(path, ringer, [round]))
      #expect(next(bell) == [round] && next(bell) == [round])
    }
    #expect(!ring(path, ringer, [4]))
  }

  @Test func moreBellsThanThereAreLinesAllRing() throws {
    let world = try World(.inProcess)
    let bells = try (0..<3 * BellRinger.mostLines).map { try Bell(at: world.path("\($0)")) }
    let ringer = BellRinger()
    for _ in 1...2 {
      for bell in bells { #expect(ring(bell.path, ringer, [1])) }
    }
    for bell in bells { #expect(next(bell) == [1] && next(bell) == [1] && next(bell) == nil) }
  }

  private func ring(_ path: String, _ ringer: BellRinger, _ bytes: [UInt8]) -> Bool {
    let span = bytes.span
    // SAFETY: an array of bytes has no padding.
    return ringer.ring(path, with: unsafe span.bytes)
  }

  private func next(_ bell: Bell) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 64)
    var span = buffer.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var bytes = unsafe span.mutableBytes
    return bell.receive(into: &bytes).map { Array(buffer.prefix($0)) }
  }
}
