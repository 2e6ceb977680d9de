/// The file name of a journal says whose it is.
enum JournalName: Equatable, CustomStringConvertible {
  case publisher(Author)
  case subscriber(worker: Int, index: Int, life: Int)

  var description: String {
    switch self {
    case .publisher(let author): "publisher-\(author.worker)-\(author.publisher)-\(author.life)"
    case .subscriber(let worker, let index, let life): "subscriber-\(worker)-\(index)-\(life)"
    }
  }

  init?(_ text: String) {
    let words = text.split(separator: "-")
    let numbers = words.dropFirst().compactMap { Int($0) }
    guard words.count == 4, numbers.count == 3 else { return nil }
    switch words[0] {
    case "publisher": self = .publisher(Author(worker: numbers[0], publisher: numbers[1], life: numbers[2]))
    case "subscriber": self = .subscriber(worker: numbers[0], index: numbers[1], life: numbers[2])
    default: return nil
    }
  }
}
