import ArgumentParser

/// Faults, caused for real, in one randomized harness; see `Tools/faults`.
@main
struct Faults: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "faults",
    abstract: "Causes faults for real, and proves that nothing of what PoolBus promises gives way.",
    subcommands: [RunCommand.self, WorkerCommand.self], defaultSubcommand: RunCommand.self)
}
