@testable import Scheduling
@testable import TaskLogPlugin

/// The scheduler of a simulation with its shadow, which only receives the events.
final class SimulatedScheduler {
  let core: SchedulerCore

  init(isSmall: Bool, _ options: SchedulerCore.Options) {
    let shadow = SchedulerState()
    let comparison = Comparison()
    var live: SchedulerState!
    let rules = EngineRules(shadow, options)
    core = SchedulerCore(options) { event in
      if event.finish == .processing, let task = event.key.flatMap({ shadow.tasks[$0] }) {
        let isExpected = rules.placement(of: task, at: event).isBest(event.worker)
        comparison.compare("chosen by the rules", isExpected ? "chosen by the rules" : "", event)
      }
      shadow.apply(event.fromLog)
      if isSmall { comparison.compare(StateDump.text(live), StateDump.text(shadow), event) }
      if let key = event.key {
        comparison.compare(
          StateDump.text(around: key, live), StateDump.text(around: key, shadow), event)
      }
      shadow.settle()
    }
    live = core.state
    self.shadow = shadow
    self.isSmall = isSmall
    self.comparison = comparison
  }

  private let shadow: SchedulerState
  private let comparison: Comparison
  private let isSmall: Bool

  func handle(
    _ stimulus: SchedulerStimulus, _ next: (stimulusID: String, time: Int64)
  ) throws -> [SchedulerInstruction] {
    if next.stimulusID == "endless" { throw Simulation.Failure(description: "no end is in sight") }
    let instructions = try core.handle(stimulus, stimulusID: next.stimulusID, time: next.time)
    try comparison.check()
    let violations = Invariants.violations(of: core)
    if !violations.isEmpty {
      throw Simulation.Failure(
        description: "after \(stimulus):\n" + violations.joined(separator: "\n"))
    }
    // Comparing the whole of a large state takes long.
    guard isSmall || next.time % 16 == 0 else { return instructions }
    guard StateDump.text(core.state) == StateDump.text(shadow) else {
      throw Simulation.Failure(description: "the replay differs after \(stimulus)")
    }
    return instructions
  }
}

/// A worker of a simulation with its shadow, its results and its current work.
final class SimulatedWorker {
  struct Job {
    var key: Key
    var taskRunID: Int64
    var inputs: [Int]
    var willSecede: Bool
  }

  struct Transfer {
    var from: String
    var keys: [Key]
    var values: [(Key, Int)]?
  }

  let core: WorkerCore
  private let shadow: WorkerState
  private let comparison: Comparison
  private let isSmall: Bool
  var held: [Key: Int] = [:]
  var jobs: [Job] = []
  var transfers: [Transfer] = []

  init(_ facts: WorkerSnapshot, isSmall: Bool) {
    let shadow = WorkerState()
    let comparison = Comparison()
    var live: WorkerState!
    core = WorkerCore(facts: facts) { event in
      shadow.apply(event.fromLog)
      if isSmall { comparison.compare(StateDump.text(live), StateDump.text(shadow), event) }
      if let key = event.key {
        comparison.compare(
          StateDump.text(around: key, live), StateDump.text(around: key, shadow), event)
      }
      shadow.settle()
    }
    live = core.state
    self.shadow = shadow
    self.isSmall = isSmall
    self.comparison = comparison
    core.start(facts, time: 0)
  }

  func handle(
    _ stimulus: WorkerStimulus, _ next: (stimulusID: String, time: Int64)
  ) throws -> [WorkerInstruction] {
    let instructions = try core.handle(stimulus, stimulusID: next.stimulusID, time: next.time)
    try comparison.check()
    let violations = Invariants.violations(of: core)
    if !violations.isEmpty {
      throw Simulation.Failure(
        description: "after \(stimulus):\n" + violations.joined(separator: "\n"))
    }
    // Comparing the whole of a large state takes long.
    guard isSmall || next.time % 16 == 0 else { return instructions }
    guard StateDump.text(core.state) == StateDump.text(shadow) else {
      throw Simulation.Failure(description: "the replay differs after \(stimulus)")
    }
    return instructions
  }

  /// The results held are exactly those of the tasks in memory.
  func check() throws {
    let inMemory = Set(core.state.tasks.filter { $0.value.state == .memory }.map(\.key))
    guard inMemory == Set(held.keys) else {
      throw Simulation.Failure(
        description: "\(core.address) holds \(held.keys), in memory are \(inMemory)")
    }
  }
}

/// Collects differences between a state and its shadow while events are emitted.
final class Comparison {
  private var difference: String?

  func compare(_ live: String, _ shadow: String, _ event: Event) {
    if live != shadow, difference == nil {
      difference = "at \(event):\nlive   \(live)\nreplay \(shadow)"
    }
  }

  /// - Throws: `Simulation.Failure` if something differed.
  func check() throws {
    if let difference { throw Simulation.Failure(description: difference) }
  }
}
