import Vocabulary

/// A policy took these messages before the subscription read them.
public struct Lagged: Hashable, Sendable {
  /// As many ranges as one message carries; ``split()`` makes several of a longer one.
  public static let maximumRangeCount = 2048

  public var subscription: SubscriptionID
  public var stream: StreamID
  /// Sequences of the stream.
  public var ranges: [ClosedRange<UInt64>]
  /// Bytes of the pool that were taken.
  public var bytes: UInt64

  public init(subscription: SubscriptionID, stream: StreamID, ranges: [ClosedRange<UInt64>], bytes: UInt64) {
    self.subscription = subscription
    self.stream = stream
    self.ranges = ranges
    self.bytes = bytes
  }

  /// How many messages were lost; `UInt64.max` stands for that many or more. (Ranges come from what publishers wrote.)
  public var messageCount: UInt64 {
    ranges.reduce(0) { sum, range in
      let (last, overflows) = sum.addingReportingOverflow(range.upperBound - range.lowerBound)
      return overflows || last == .max ? .max : last + 1
    }
  }

  /// The same in messages that fit a packet each. Only the first names the bytes, so that they sum to the whole.
  public func split() -> [Lagged] {
    guard ranges.count > Self.maximumRangeCount else { return [self] }
    return stride(from: 0, to: ranges.count, by: Self.maximumRangeCount).map { start in
      let end = min(start + Self.maximumRangeCount, ranges.count)
      return Lagged(
        subscription: subscription, stream: stream, ranges: Array(ranges[start..<end]), bytes: start == 0 ? bytes : 0)
    }
  }
}
