import Glibc
import Platform
import PoolBus
import TestProcesses

// What is done to whom, and how it is made good.

extension Stage {
  func inject() async {
    for worker in episode.workers where worker.start == .microseconds(0) { startWorker(worker.number) }
    await withDiscardingTaskGroup { group in
      for worker in episode.workers where worker.start != .microseconds(0) {
        group.addTask {
          if await self.wait(for: worker.start) { await self.startWorker(worker.number) }
        }
      }
      for planned in episode.faults {
        group.addTask {
          if await self.wait(for: planned.moment) { await self.apply(planned) }
        }
      }
      group.addTask { await self.lookAtTheBooks() }
    }
    isInjecting = false
  }

  var isOver: Bool { ContinuousClock.now - start > .microseconds(Planner.microseconds) }

  /// - Returns: false if the moment did not come while faults are injected.
  func wait(for moment: Moment) async -> Bool {
    switch moment {
    case .microseconds(let time):
      try? await Task.sleep(until: start + .microseconds(time))
      return true
    case .records(let count, let worker):
      while !isOver {
        observer.update()
        if observer.count(of: worker) >= count { return true }
        try? await Task.sleep(for: .milliseconds(2))
      }
      return false
    }
  }

  func lookAtTheBooks() async {
    while !isOver {
      if let books = try? await within(.seconds(5), { [inspector] in try await inspector?.inspect() }) ?? nil {
        for problem in inconsistencies(books) { violate(.books, problem) }
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  func inconsistencies(_ books: PoolSnapshot) -> [String] {
    Books.inconsistencies(books, contribution: episode.contribution, mayBeBeyond: harm.contains(where: \.isRestart))
  }

  func apply(_ planned: PlannedFault) async {
    let process: PeerProcess?
    switch planned.target {
    case .node: process = node
    case .worker(let number): process = living[number]
    }
    // A runtime that finds no descriptor for its clocks sleeps for ever: that would say nothing of PoolBus.
    if case .exhaustDescriptors = planned.fault, case .worker(let number) = planned.target {
      await beginnings[number]?.value
    }
    guard let process, !process.hasEnded else { return }
    harm.append(Evidence.Harm(target: planned.target, fault: planned.fault, time: Clock.monotonicNanoseconds))
    outcome.faults[planned.target == .node ? "node: \(planned.fault.name)" : planned.fault.name, default: 0] += 1
    note("\(planned.target): \(planned.fault)")

    switch planned.fault {
    case .kill:
      process.signal(SIGKILL)
      if case .worker(let number) = planned.target { killed.insert(number) }
    case .pause(let milliseconds):
      process.signal(SIGSTOP)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.signal(SIGCONT)
    case .exhaustDescriptors(let spare, let milliseconds):
      process.limitDescriptors(spare: spare)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.unlimitDescriptors()
    case .closeDescriptors(let count): process.tell("close \(count)")
    case .exhaustAddresses(let spare): process.limitAddresses(spare: spare)
    case .exhaustMemory(let largest, let milliseconds):
      process.limitFiles(to: largest)
      try? await Task.sleep(for: .milliseconds(milliseconds))
      process.unlimitFiles()
    case .restart(let milliseconds): await restartNode(process, milliseconds)
    }
  }

  func restartNode(_ process: PeerProcess, _ milliseconds: Int) async {
    process.signal(SIGKILL)
    // Another restart may be under way.
    node = nil
    _ = try? await process.exit()
    await inspector?.close()
    inspector = nil
    try? await Task.sleep(for: .milliseconds(milliseconds))
    do { try await startNode() } catch { violate(.stuck, "the node could not be restarted: \(error)") }
  }

  /// What was done only for a while is undone, also where the fault's own task was late; who can't be sound is gone.
  func heal() async {
    let processes = living.values + (node.map { [$0] } ?? [])
    for process in processes {
      process.unlimitDescriptors()
      process.unlimitFiles()
      process.signal(SIGCONT)
    }
    for (number, process) in living where isRuined(number) {
      process.signal(SIGKILL)
      killed.insert(number)
    }
    // ZeroMQ ends a process that has no descriptor for a connection that comes in, and nobody sees when.
    for (number, process) in living where process.hasEnded {
      guard let time = exhaustion(of: number) else { continue }
      killed.insert(number)
      harm.append(Evidence.Harm(target: .worker(number), fault: .kill, time: time))
    }
    // What slow readers hold of the pool, others wait for.
    for process in living.values { process.tell("hurry") }
  }
}
