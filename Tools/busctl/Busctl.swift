import ArgumentParser
import Glibc
import PoolBus

/// Shows what goes on on the bus, and takes part in it from a shell.
@main
struct Busctl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "busctl",
    abstract: "Shows what goes on on the bus, and publishes and subscribes from a shell.",
    discussion: """
      It joins the node whose socket is given by --socket, else by $POOLBUS_SOCKET, else the one of this user; it never \
      starts a node.

      EXIT CODES
        0   done
        1   failed
        2   done, but messages were lost: it lagged, or a segment was corrupt
        64  the command line is wrong
        69  no node answers, or it is gone
      """,
    subcommands: [
      Status.self, Topics.self, Publishers.self, Subscribers.self, Segments.self, Clients.self, Users.self, Why.self,
      Publish.self, Subscribe.self, Monitor.self,
    ])

  static func main() async {
    // Who closes the other end of a pipe wants no more: that ends this process as it does any filter.
    signal(SIGPIPE, SIG_DFL)
    do {
      var command = try await asyncParseAsRoot()
      if var asyncCommand = command as? any AsyncParsableCommand {
        try await asyncCommand.run()
      } else {
        try command.run()
      }
    } catch let error as BusError {
      Console.report("\(error)")
      exit(withError: error.meansNoNode ? ExitCode.noNode : ExitCode.failure)
    } catch let error as Failure {
      Console.report("\(error)")
      exit(withError: ExitCode.failure)
    } catch {
      exit(withError: error)
    }
  }
}

extension ExitCode {
  static let messagesLost = ExitCode(2)
  static let noNode = ExitCode(69)
}

extension BusError {
  var meansNoNode: Bool {
    switch self {
    case .cannotJoin, .nodeLost: true
    default: false
    }
  }

  /// Whether messages are missing, and reading goes on after them.
  var meansLoss: Bool {
    switch self {
    case .lagged, .corruptSegment: true
    default: false
    }
  }
}

/// What went wrong in this tool itself.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
