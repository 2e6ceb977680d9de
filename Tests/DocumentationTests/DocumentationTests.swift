import Foundation
import Testing

/// What the README and the articles show is what compiles.
@Suite struct DocumentationTests {
  static let documents =
    ["README.md"]
    + ["Ownership", "BackPressure", "Acknowledgement", "WhenSomethingDies"].map {
      "Sources/PoolBus/PoolBus.docc/\($0).md"
    }

  @Test(arguments: documents) func theCodeCompiles(document: String) throws {
    for block in try swiftBlocks(of: document) {
      let errors = try Snippet(body: block).errors()
      #expect(errors == "", "\(document):\n\(block)")
    }
  }

  @Test func theReadmeShowsTheProgram() throws {
    #expect(try swiftBlocks(of: "README.md").contains { $0.contains("Bus.connect()") })
  }

  private func swiftBlocks(of document: String) throws -> [String] {
    let text = try String(contentsOf: Snippet.root.appending(path: document), encoding: .utf8)
    return text.components(separatedBy: "```swift\n").dropFirst().map {
      $0.components(separatedBy: "\n```").first ?? ""
    }
  }
}

/// What must not compile: the ownership rules are the compiler's.
@Suite struct OwnershipTests {
  @Test func aLoanIsPublishedOnce() throws {
    let errors = try Snippet(
      body: """
        let loan = try await publisher.loan(byteCount: 1)
        try loan.publish()
        try loan.publish()
        """
    ).errors()
    #expect(errors.contains("'loan' consumed more than once"), "\(errors)")
  }

  @Test func aPublishedLoanCanNotBeWritten() throws {
    let errors = try Snippet(
      body: """
        var loan = try await publisher.loan(byteCount: 1)
        try loan.publish()
        loan.mutableBytes.storeBytes(of: 1, as: UInt8.self)
        """
    ).errors()
    #expect(errors.contains("'loan' used after consume"), "\(errors)")
  }

  @Test func aSampleIsNotCopied() throws {
    let errors = try Snippet(
      body: """
        if let sample = try await subscriber.next() {
          let other = sample
          print(sample.sequence, other.sequence)
        }
        """
    ).errors()
    #expect(errors.contains("'sample' used after consume"), "\(errors)")
  }

  @Test func aSamplesBytesDoNotOutliveIt() throws {
    let errors = try Snippet(
      body: """
        var kept = RawSpan()
        if let sample = try await subscriber.next() { kept = sample.bytes }
        print(kept.byteCount)
        """
    ).errors()
    #expect(errors.contains("escapes its scope"), "\(errors)")
  }

  @Test func whatIsRightCompiles() throws {
    let errors = try Snippet(
      body: """
        var loan = try await publisher.loan(byteCount: 1)
        loan.mutableBytes.storeBytes(of: 1, as: UInt8.self)
        try loan.publish()
        while let sample = try await subscriber.next() { print(sample.bytes.byteCount) }
        """
    ).errors()
    #expect(errors == "")
  }
}
