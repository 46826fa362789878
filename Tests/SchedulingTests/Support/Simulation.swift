import TestSupport

@testable import Scheduling
@testable import TaskLogPlugin

/// A cluster without threads and clock: one scheduler, some workers and a client, whose messages
/// travel in order but with any delay.
///
/// Each step takes one of the possible next steps, at random: a message arrives, a run or a
/// transfer ends, the client changes its mind, a worker dies or joins. After each the invariants
/// are checked, and with each event a second state that is built only from the events.
final class Simulation {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// The state of a future as a client knows it.
  enum Status: Equatable {
    case pending
    case finished
    case erred(blame: Key)
    case cancelled
  }

  enum ToScheduler {
    case stimulus(SchedulerStimulus)
    case graph(number: Int, tasks: [NewTask], keys: [Key])
  }

  var graph: RandomGraph
  var expected: [Key: RandomGraph.Outcome]
  var random: SplitMix64
  let isSlow: Bool
  let scheduler: SimulatedScheduler
  var workers: [String: SimulatedWorker] = [:]
  var addresses: [String] = []
  var born = 0
  var clock: Int64 = 0
  var stimuli = 0

  /// By sender; "client" is one of them.
  var toScheduler = OrderedMap<String, [ToScheduler]>()
  var toWorker = OrderedMap<String, [(WorkerStimulus, stimulusID: String)]>()

  var futures: [Key: (status: Status, graph: Int)] = [:]
  var graphNumber = 0
  var graphTakenIn = 0
  var failuresLeft: [Key: Int] = [:]
  var reschedulesLeft: [Key: Int] = [:]
  /// Tasks that were released because of what the outside did.
  var excused: Set<Key> = []
  var scattered = 0
  /// Their addresses are not reused: scattering identifies workers by them.
  var scatteredTo: Set<String> = []
  var edges: Set<String> = []

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    let share = Double.random(in: 0...1, using: &random)
    graph = RandomGraph(count: 1 + Int(59 * share * share * share), using: &random)
    isSlow = random.once(in: 2)
    expected = graph.serialOutcomes()
    for (key, task) in graph.tasks {
      failuresLeft[key] = task.failures
      reschedulesLeft[key] = task.reschedules
    }
    scheduler = SimulatedScheduler(
      isSmall: graph.keys.count <= 10,
      SchedulerCore.Options(
        allowedFailures: random.once(in: 3) ? Int.random(in: 0...1, using: &random) : 3,
        workerSaturation: random.once(in: 4) ? .infinity : random.once(in: 2) ? 1.1 : 0.5))
    scheduler.core.onEdge = { [unowned self] in edges.insert("scheduler \($0) → \($1)") }
    for _ in 0..<Int.random(in: 1...4, using: &random) { addWorker() }
    say(.stimulus(.addClient("client")))
  }

  /// - Throws: `Failure` at the first violation.
  func run() throws {
    var wishes = Int.random(in: 3...12, using: &random)
    while true {
      let isWished = wishes > 0 && random.once(in: 12)
      if isWished {
        wishes -= 1
        try wish()
      } else if try !step() {
        if wishes == 0 { break }
        wishes -= 1
        try wish()
      }
    }
    // All tasks that wait for a worker get one.
    while workers.isEmpty || !scheduler.core.state.unrunnable.isEmpty {
      addWorker(supplies: true)
      while try step() {}
    }
    try checkOutcomes()
    release(Array(futures.keys).sorted { $0.text < $1.text })
    while try step() {}
    try checkEmpty()
  }

  // MARK: - The end

  func checkOutcomes() throws {
    for (key, future) in futures {
      switch (expected[key], future.status) {
      case (.value(let value)?, .finished):
        let holders = scheduler.core.state.tasks[key]?.whoHas.map(\.address) ?? []
        guard !holders.isEmpty else { throw Failure(description: "no holder of '\(key)'") }
        for address in holders where workers[address]?.held[key] != value {
          throw Failure(
            description: "'\(key)' on \(address) is \(workers[address]?.held[key] ?? -1)")
        }
      case (.failure?, .erred(let blame)) where expected[blame] == .failure(blame: blame): break
      case (_, .erred(let blame)) where wasKilled(blame) || excused.contains(blame): break
      case (_, .cancelled): break
      case (let outcome, let status):
        throw Failure(
          description: "'\(key)' is \(status), to be expected was "
            + "\(outcome.map { "\($0)" } ?? "nothing"):\n" + everything)
      }
    }
  }

  /// Too many workers have died with the task.
  func wasKilled(_ key: Key) -> Bool {
    scheduler.core.state.tasks[key].map { $0.suspicious > scheduler.core.options.allowedFailures }
      ?? false
  }

  func checkEmpty() throws {
    guard scheduler.core.state.tasks.isEmpty else {
      throw Failure(description: "the scheduler still has tasks:\n" + everything)
    }
    for (address, worker) in workers
    where !worker.core.state.tasks.isEmpty || !worker.held.isEmpty
      || !worker.core.executing.isEmpty || !worker.core.longRunning.isEmpty
      || !worker.core.inFlight.isEmpty
    {
      throw Failure(description: "\(address) still has \(worker.held.keys):\n" + everything)
    }
  }

  var everything: String {
    ([StateDump.text(scheduler.core.state)]
      + workers.map { "at \($0.key):\n" + StateDump.text($0.value.core.state) })
      .joined(separator: "\n")
  }
}

extension OrderedMap {
  subscript(key: Key, default other: @autoclosure () -> Value) -> Value {
    get { self[key] ?? other() }
    set { self[key] = newValue }
  }
}
