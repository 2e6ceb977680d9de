import Vocabulary

/// What happens between this process and its host's node.
public enum NodeEvent: Hashable, Sendable, CustomStringConvertible {
  /// The node is gone. What is mapped stays readable, loans that fit what is leased still work; this client looks for
  /// a node at the socket, and rejoins it.
  case lost
  /// A node is there again, and this client has rejoined it with all that it had.
  case rejoined(client: ClientID)
  /// A stream whose publisher did not come back with the node has ended. What it had published but was not handed over
  /// yet is gone with the node; how much that is, nobody knows.
  case streamLost(topic: TopicName, stream: StreamID)
  /// No node came back in time, or the new one refused: publishers and subscribers fail from now on.
  case gaveUp(BusError)

  public var description: String {
    switch self {
    case .lost:
      "the node is gone; what is mapped stays usable, and this client rejoins as soon as a node is there again"
    case .rejoined(let client): "a node is there again, and this client has rejoined it as \(client)"
    case .streamLost(let topic, let stream):
      "\(stream) of \(topic) has ended: its publisher did not come back with the node; what was not handed over is gone"
    case .gaveUp(let error): "this client does not rejoin: \(error)"
    }
  }
}
