import Testing

@testable import busctl

@Suite struct SeenHandlesTests {
  @Test(
    arguments: [
      ([1, 2, 3], 0), ([7], 0), ([3, 1, 2], 0), ([2, 1, 4, 3], 0),
      // Two batches of 64 after a message; a handle that is missing, and one that comes late.
      ([1, 65, 129], 126), ([5, 8, 6], 1), ([8, 5], 2),
      // Nonsense by a publisher that is not ours.
      ([4, 4, 4], 0), ([0, UInt64.max], UInt64.max - 1),
    ] as [([UInt64], UInt64)])
  func messagesWithoutAHandleOfTheirOwnAreCounted(sequences: [UInt64], missing: UInt64) {
    var seen = SeenHandles(sequences[0])
    for sequence in sequences { seen.add(sequence) }
    #expect(seen.missing == missing)
  }
}
