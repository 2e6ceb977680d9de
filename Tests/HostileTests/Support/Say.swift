import TestSupport

/// Bytes of a subscription's wake page.
let wakePageByteCount = 16_384

/// What a client can say, by the numbers of `Schemas/node.proto`. Every field takes every value.
enum Say {
  static func hello(version: UInt64 = 3, name: [UInt8] = Array("liar".utf8)) -> [UInt8] {
    Wire.bytes(1, Wire.number(1, version) + Wire.bytes(2, name))
  }
  static func openPublisher(
    _ request: UInt64, topic: [UInt8], policy: UInt64 = 0, timeout: UInt64 = 0, retention: [UInt8]? = nil
  ) -> [UInt8] {
    Wire.bytes(
      2,
      Wire.number(1, request) + Wire.bytes(2, topic) + Wire.number(3, policy) + Wire.number(4, timeout)
        + (retention.map { Wire.bytes(5, $0) } ?? []))
  }
  static func closePublisher(_ stream: UInt64) -> [UInt8] { Wire.bytes(3, Wire.number(1, stream)) }
  static func subscribe(
    _ request: UInt64, pattern: [UInt8], observes: UInt64 = 0, wantsRetained: UInt64 = 0, messages: UInt64 = 0,
    bytes: UInt64 = 0
  ) -> [UInt8] {
    Wire.bytes(
      4,
      Wire.number(1, request) + Wire.bytes(2, pattern) + Wire.number(3, observes) + Wire.number(4, wantsRetained)
        + Wire.number(5, messages) + Wire.number(6, bytes))
  }
  static func unsubscribe(_ subscription: UInt64) -> [UInt8] { Wire.bytes(5, Wire.number(1, subscription)) }
  static func requestLease(
    _ request: UInt64, stream: UInt64, capacity: UInt64, ahead: UInt64 = 0
  ) -> [UInt8] {
    Wire.bytes(
      6, Wire.number(1, request) + Wire.number(2, stream) + Wire.number(3, capacity) + Wire.number(4, ahead))
  }
  static func segmentReady(_ segment: UInt64, epoch: UInt64) -> [UInt8] {
    Wire.bytes(7, Wire.number(1, segment) + Wire.number(2, epoch))
  }
  static func sealSegment(_ segment: UInt64, epoch: UInt64) -> [UInt8] {
    Wire.bytes(8, Wire.number(1, segment) + Wire.number(2, epoch))
  }
  static func releaseSegment(_ segment: UInt64, epoch: UInt64, by subscription: UInt64) -> [UInt8] {
    Wire.bytes(9, Wire.number(1, segment) + Wire.number(2, epoch) + Wire.number(3, subscription))
  }
  static func segmentUnmapped(_ segment: UInt64, by subscription: UInt64 = 0) -> [UInt8] {
    Wire.bytes(10, Wire.number(1, segment) + Wire.number(2, subscription))
  }
  static func inspect(_ request: UInt64) -> [UInt8] { Wire.bytes(11, Wire.number(1, request)) }
  static func cancelLease(_ request: UInt64) -> [UInt8] { Wire.bytes(12, Wire.number(1, request)) }
  static func segmentPassed(_ segment: UInt64, epoch: UInt64, by subscription: UInt64) -> [UInt8] {
    Wire.bytes(13, Wire.number(1, segment) + Wire.number(2, epoch) + Wire.number(3, subscription))
  }
}

/// What the node says, by its number in `NodeMessage`.
struct Answer {
  enum Kind: UInt64 {
    case welcome = 1, refusal, publisherOpened, subscribed, streamIntroduced, streamEnded, leaseGranted, segmentHanded
    case segmentSealed, forgetSegment, lagged, snapshot, subscriberJoined, subscriberLeft, giveBack, segmentPromised
    case retentionChanged, quotaChanged
  }

  let kind: Kind
  let descriptor: Descriptor?
  private let fields: [UInt64: Wire.Value]

  init?(_ bytes: [UInt8], _ descriptor: Descriptor?) {
    guard let (number, body) = Wire.fields(of: bytes[...])?.first, let kind = Kind(rawValue: number),
      case .bytes(let inner) = body, let fields = Wire.fields(of: inner)
    else { return nil }
    self.kind = kind
    self.descriptor = descriptor
    self.fields = fields
  }

  subscript(_ field: UInt64) -> UInt64 {
    if case .number(let number)? = fields[field] { number } else { 0 }
  }

  func text(_ field: UInt64) -> String {
    if case .bytes(let bytes)? = fields[field] { String(decoding: bytes, as: UTF8.self) } else { "" }
  }
}
