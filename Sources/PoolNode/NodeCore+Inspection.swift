import BusProtocol
import Ledger
import Vocabulary

extension NodeCore {
  func snapshot(for request: UInt64, contents: some SegmentContents, now: UInt64) -> [SnapshotPart] { [] }
  func describe(_ refusal: LeaseRefusal, now: UInt64) -> String { "" }
}

extension LeaseRefusal {
  var code: RefusalCode {
    switch self {
    case .tooLarge: .tooLarge
    case .poolExhausted: .poolExhausted
    case .outOfMemory: .outOfMemory
    }
  }
}
