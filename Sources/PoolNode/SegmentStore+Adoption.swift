import BusProtocol
import Platform
import PooledMemory
import Vocabulary

extension SegmentStore {
  /// Looks at memory that a client offers as a segment, and keeps it if it is one that is not here yet.
  ///
  /// - Parameters:
  ///   - topic: which its stream is of, by the client's word.
  ///   - descriptor: nil if none came.
  ///   - overrules: it counts, rather than what is here as this segment.
  func examine(
    _ offer: OfferSegment, of topic: TopicName, _ descriptor: consuming OwnedDescriptor?, overrules: Bool
  ) -> OfferedMemory {
    let id = offer.segment.id
    guard let descriptor = descriptor else { return .unsound("it came without its memory") }
    do {
      let file = try SegmentFile.adopt(
        descriptor, id: id, of: SegmentOrigin(offer.stream, topic), capacity: Int(clamping: offer.capacity))
      if let original = descriptors?.memory(of: id), try original != file.fileIdentity() {
        return .unsound("it is not the memory that the service manager has kept as \(id)")
      }
      if let known = self[id] {
        if try known.file.fileIdentity() == file.fileIdentity() { return .sound }
        guard overrules else { return .differs }
      }
      // What is here stays if this can't be used.
      let adopted = try Stored(adopting: file)
      destroy(id)
      keep(adopted, as: id)
      return .sound
    } catch {
      return .unsound("\(error)")
    }
  }
}
