/// Bytes that are no message of the protocol, or a message that the protocol can't carry.
public struct ProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The schema's name of the message, as in `OpenPublisher`.
  public let message: String
  /// The schema's name of the field; nil if the message as a whole is at fault.
  public let field: String?
  /// What is wrong with it.
  public let problem: String

  public init(message: String, field: String? = nil, problem: String) {
    self.message = message
    self.field = field
    self.problem = problem
  }

  public var description: String {
    if let field { "\(message).\(field) \(problem)" } else { "\(message) \(problem)" }
  }
}
