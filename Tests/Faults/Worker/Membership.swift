import PoolBus

/// A process's bus, and another one when its node is lost.
actor Membership {
  private let socket: String
  private let name: String
  private var life = -1
  private var joining: Task<Bus?, Never>?
  private var lost: [Bus] = []
  /// Up to this life, no node came back, or the one that came has refused.
  private var givenUp = -1

  init(socket: String, name: String) {
    self.socket = socket
    self.name = name
  }

  /// The bus of a life: the first of its ends that asks joins it, the others share it. Nil if everything shall be closed
  /// before a node can be joined.
  func bus(life wanted: Int, _ orders: WorkerOrders) async -> Bus? {
    if life < wanted {
      if let old = await joining?.value { lost.append(old) }
      // Another end may have come here meanwhile.
      if life < wanted {
        life = wanted
        joining = Task { [socket, name] in
          while !orders.hasEnded {
            do {
              let bus = try await Bus.connect(BusConfiguration(socketPath: socket, name: name, embeddedNode: nil))
              watch(bus.nodeEvents, life: wanted)
              return bus
            } catch {
              // The node is not back yet, or has no descriptor to spare.
              try? await Task.sleep(for: .milliseconds(5))
            }
          }
          return nil
        }
      }
    }
    return await joining?.value
  }

  func hasGivenUp(life: Int) -> Bool { life <= givenUp }

  private func watch(_ events: AsyncStream<NodeEvent>, life: Int) {
    Task {
      // They end with the membership.
      for await _ in events {}
      givenUp = max(givenUp, life)
    }
  }

  func close() async {
    for bus in lost { await bus.close() }
    await joining?.value?.close()
  }
}

extension Failure {
  init(_ error: any Error) {
    guard let error = error as? BusError else {
      self = .other
      return
    }
    self =
      switch error {
      case .nodeLost: .nodeLost
      case .refused: .refused
      case .poolExhausted: .poolExhausted
      case .outOfMemory: .outOfMemory
      case .cannotJoin: .cannotJoin
      case .closed: .closed
      case .corruptSegment: .corrupt
      default: .other
      }
  }
}
