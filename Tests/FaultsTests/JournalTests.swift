import Foundation
import Testing

@testable import poolbus_faults

@Suite struct JournalTests {
  private let path = FileManager.default.temporaryDirectory.appending(path: "journal-\(UUID())").path

  @Test("Who reads along sees each record once it is whole, and a conclusion when there is one")
  func readingAlong() throws {
    let writer = try Journal(writing: path, capacity: 4)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let reader = try Journal(reading: path)
    #expect(reader.next() == nil)
    let record = Record(kind: .publishing, subject: 1, value: 2, count: 3, size: 4, author: 5, time: 6)
    let place = writer.append(record)
    #expect(reader.record(at: 0) == record)
    writer.conclude(place, .done)
    let concluded = try #require(reader.next())
    #expect(concluded.outcome == .done && concluded.end > 0)
    #expect(reader.next() == nil)
    writer.append(Record(kind: .closed))
    #expect(reader.next()?.kind == .closed)
  }

  @Test("A record outlives its writer, and a full journal takes no more")
  func full() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      let writer = try Journal(writing: path, capacity: 2)
      for value in 1...3 as ClosedRange<UInt64> { writer.append(Record(kind: .lagged, value: value)) }
      #expect(writer.isFull)
    }
    let reader = try Journal(reading: path)
    #expect(reader.next()?.value == 1)
    #expect(reader.next()?.value == 2)
    #expect(reader.next() == nil)
  }

  @Test("A journal's name says whose it is")
  func names() {
    for name in [
      JournalName.publisher(Author(worker: 12, publisher: 1, life: 3)), .subscriber(worker: 4, index: 0, life: 0),
    ] {
      #expect(JournalName("\(name)") == name)
    }
    for text in ["node.log", "publisher-1-2", "publisher-1-2-x", "process-1.log"] { #expect(JournalName(text) == nil) }
  }
}

@Suite struct PayloadTests {
  private let author = Author(worker: 3, publisher: 1, life: 0)

  private func payload(_ byteCount: Int, _ sequence: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xaa, count: byteCount)
    var span = bytes.mutableSpan
    // SAFETY: an array of bytes has no padding.
    var raw = unsafe span.mutableBytes
    Payload.write(author, sequence, into: &raw)
    return bytes
  }

  private func read(_ bytes: [UInt8], _ sequence: UInt64) -> Payload.Reading {
    // SAFETY: as above.
    unsafe Payload.read(sequence, in: bytes.span.bytes)
  }

  @Test("A payload of any size is read as it was written", arguments: [0, 1, 7, 8, 9, 15, 16, 17, 4096, 100_003])
  func everySize(byteCount: Int) {
    let author = byteCount >= 8 ? author.code : 0
    #expect(read(payload(byteCount, 77), 77) == .intact(author: author))
  }

  @Test("One wrong bit anywhere is found, and so is another message's payload", arguments: [1, 7, 8, 9, 16, 17, 300])
  func everyBit(byteCount: Int) {
    let bytes = payload(byteCount, 77)
    for index in bytes.indices {
      var wrong = bytes
      wrong[index] ^= 0x10
      #expect(read(wrong, 77) != .intact(author: byteCount >= 8 ? author.code : 0), "byte \(index)")
    }
    #expect(read(bytes, 78) != .intact(author: byteCount > 8 ? author.code : 0) || byteCount == 8)
    #expect(read(Array(bytes.dropLast()), 77) != .intact(author: author.code) || byteCount == 9)
  }
}
