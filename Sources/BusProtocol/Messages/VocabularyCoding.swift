import Vocabulary

// How the vocabulary looks in the JSON of rows: ids are numbers, topics and patterns are texts.

extension ClientID: Codable {}
extension StreamID: Codable {}
extension SubscriptionID: Codable {}
extension SegmentID: Codable {}

extension TopicName: Codable {
  public init(from decoder: any Decoder) throws { try self.init(String(from: decoder)) }
  public func encode(to encoder: any Encoder) throws { try text.encode(to: encoder) }
}

extension TopicPattern: Codable {
  public init(from decoder: any Decoder) throws { try self.init(String(from: decoder)) }
  public func encode(to encoder: any Encoder) throws { try text.encode(to: encoder) }
}

extension Retention: Codable {
  private enum CodingKeys: String, CodingKey {
    case messages, bytes, ageNanoseconds
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      messages: try values.decodeIfPresent(UInt64.self, forKey: .messages),
      bytes: try values.decodeIfPresent(UInt64.self, forKey: .bytes),
      age: try values.decodeIfPresent(Int64.self, forKey: .ageNanoseconds).map { .nanoseconds($0) })
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(messages, forKey: .messages)
    try values.encodeIfPresent(bytes, forKey: .bytes)
    try values.encodeIfPresent(age.map { $0.clampedNanoseconds }, forKey: .ageNanoseconds)
  }
}
