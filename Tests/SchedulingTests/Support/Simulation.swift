import TestSupport

@testable import Scheduling
@testable import TaskLogPlugin

/// A cluster without threads and clock: one scheduler, some workers and a client, whose messages
/// travel in order but with any delay.
///
/// Each step takes one of the things that can happen next, at random: a message arrives, a run or a
/// transfer ends, the client changes its mind, a worker dies or joins. After each the invariants are
/// checked, and with each event a second state that knows nothing but the log of the events.
final class Simulation {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// A future's news as a client keeps them.
  private enum Status: Equatable {
    case pending
    case finished
    case erred(blame: Key)
    case cancelled
  }

  private enum ToScheduler {
    case stimulus(SchedulerStimulus)
    case graph(number: Int, tasks: [NewTask], keys: [Key])
  }

  private let graph: RandomGraph
  private let expected: [Key: RandomGraph.Outcome]
  private var random: SplitMix64
  private let isSlow: Bool
  private let scheduler: SimulatedScheduler
  private var workers: [String: SimulatedWorker] = [:]
  private var addresses: [String] = []
  private var born = 0
  private var clock: Int64 = 0
  private var stimuli = 0

  /// By sender; "client" is one of them.
  private var toScheduler = OrderedMap<String, [ToScheduler]>()
  private var toWorker = OrderedMap<String, [WorkerStimulus]>()

  private var futures: [Key: (status: Status, graph: Int)] = [:]
  private var graphNumber = 0
  private var graphTakenIn = 0
  private var failuresLeft: [Key: Int] = [:]
  private(set) var edges: Set<String> = []

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    let share = Double.random(in: 0...1, using: &random)
    graph = RandomGraph(count: 1 + Int(59 * share * share * share), using: &random)
    isSlow = random.once(in: 2)
    expected = graph.serialOutcomes()
    for (key, task) in graph.tasks { failuresLeft[key] = task.failures }
    scheduler = SimulatedScheduler(
      isSmall: graph.keys.count <= 10,
      allowedFailures: random.once(in: 3) ? Int.random(in: 0...1, using: &random) : 3)
    scheduler.core.onEdge = { [unowned self] in edges.insert("scheduler \($0) → \($1)") }
    for _ in 0..<Int.random(in: 1...4, using: &random) { addWorker() }
    say(.stimulus(.addClient("client")))
  }

  /// - Throws: `Failure` at the first thing that is wrong.
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
    if workers.isEmpty {
      addWorker()
      while try step() {}
    }
    try checkOutcomes()
    release(Array(futures.keys).sorted { $0.text < $1.text })
    while try step() {}
    try checkEmpty()
  }

  // MARK: - What the outside does

  private func wish() throws {
    switch Int.random(in: 0..<16, using: &random) {
    case 0..<5:
      let count = Int.random(in: 1...max(1, graph.keys.count / 3), using: &random)
      submit((0..<count).map { _ in graph.keys.randomElement(using: &random)! })
    case 5, 6:
      let held = futures.keys.sorted { $0.text < $1.text }
      release(held.filter { _ in random.once(in: 3) })
    case 7..<11:
      // Given up and wanted again at once, before anybody knows.
      let held = futures.keys.sorted { $0.text < $1.text }
      let some = held.filter { _ in random.once(in: 2) }
      release(some)
      if !some.isEmpty { submit(some) }
    case 11: try removeWorker()
    case 12:
      let some = addresses.filter { _ in random.once(in: 3) }
      if !some.isEmpty { say(.stimulus(.retireWorkers(some))) }
    case 14:
      let held = futures.keys.sorted { $0.text < $1.text }
      let some = held.filter { _ in random.once(in: 4) }
      say(.stimulus(.cancel(client: "client", keys: some, force: random.once(in: 2))))
    case 13 where random.once(in: 4):
      futures.removeAll()
      say(.stimulus(.restart))
    default: if workers.count < 4 { addWorker() }
    }
  }

  private func submit(_ wanted: [Key]) {
    graphNumber += 1
    var keys: [Key] = []
    for key in wanted where !keys.contains(key) { keys.append(key) }
    for key in keys where futures[key].map({ $0.status == .cancelled }) ?? true {
      futures[key] = (.pending, graphNumber)
    }
    toScheduler["client", default: []].append(
      .graph(number: graphNumber, tasks: graph.tasks(for: keys), keys: keys))
  }

  private func release(_ keys: [Key]) {
    guard !keys.isEmpty else { return }
    for key in keys { futures[key] = nil }
    say(.stimulus(.clientReleasesKeys(client: "client", keys: keys)))
  }

  private func say(_ message: ToScheduler, from sender: String = "client") {
    toScheduler[sender, default: []].append(message)
  }

  private func addWorker() {
    // An address may come back.
    let address = "w\(random.once(in: 3) ? born % 3 : born)"
    guard workers[address] == nil else { return }
    guard !toScheduler.contains(address) else { return }
    born += 1
    let facts = WorkerFacts(
      address: address, name: .int(Int64(born)), serverID: "Worker-\(born)",
      nthreads: Int.random(in: 1...3, using: &random))
    let worker = SimulatedWorker(facts, isSmall: graph.keys.count <= 10)
    worker.core.onEdge = { [unowned self] in edges.insert("worker \($0) → \($1)") }
    workers[address] = worker
    addresses.append(address)
    say(.stimulus(.addWorker(facts)), from: address)
  }

  /// The worker is dead at once; the scheduler learns of it after, or before, its last words.
  private func removeWorker() throws {
    guard let address = addresses.randomElement(using: &random), let worker = workers[address]
    else { return }
    try worker.check()
    workers[address] = nil
    addresses.removeAll { $0 == address }
    toWorker[address] = nil
    let removal = ToScheduler.stimulus(
      .removeWorker(address: address, expected: random.once(in: 4)))
    var words = toScheduler[address] ?? []
    let isIntroduced = !words.contains { message in
      if case .stimulus(.addWorker) = message { return true }
      return false
    }
    if isIntroduced, random.once(in: 2) {
      words.insert(removal, at: 0)
    } else {
      words.append(removal)
    }
    toScheduler[address] = words
  }

  /// The scheduler has sent a worker away; its last words are still on their way.
  private func dismiss(_ address: String) throws {
    guard let worker = workers[address] else { return }
    try worker.check()
    workers[address] = nil
    addresses.removeAll { $0 == address }
    toWorker[address] = nil
  }

  // MARK: - What happens next

  /// False when nothing can happen any more.
  private func step() throws -> Bool {
    var steps: [() throws -> Void] = []
    for sender in toScheduler.keys { steps.append { try self.deliver(from: sender) } }
    for address in toWorker.keys { steps.append { try self.deliver(to: address) } }
    // Where work is slow, the client has changed its mind before it is done.
    let works = steps.isEmpty || !isSlow || random.once(in: 16)
    for address in addresses where works {
      guard let worker = workers[address] else { continue }
      for place in worker.jobs.indices {
        steps.append { try self.finish(worker.jobs.remove(at: place), worker) }
      }
      for place in worker.transfers.indices {
        steps.append { try self.advance(place, worker) }
      }
    }
    guard let next = steps.randomElement(using: &random) else { return false }
    try next()
    return true
  }

  private func deliver(from sender: String) throws {
    guard var messages = toScheduler[sender] else { return }
    let message = messages.removeFirst()
    toScheduler[sender] = messages.isEmpty ? nil : messages
    let stimulus: SchedulerStimulus
    switch message {
    case .stimulus(let other): stimulus = other
    case .graph(let number, let tasks, let keys):
      graphTakenIn = number
      stimulus = .updateGraph(client: "client", tasks: tasks, keys: keys)
    }
    for instruction in try scheduler.handle(stimulus, next()) { try carryOut(instruction) }
  }

  private func carryOut(_ instruction: SchedulerInstruction) throws {
    switch instruction {
    case .toWorker(let address, let stimulus, _):
      if workers[address] != nil { toWorker[address, default: []].append(stimulus) }
    case .keyInMemory(_, let key): settle(key, .finished)
    case .taskErred(_, let key, let blame, _, _): settle(key, .erred(blame: blame))
    case .lostData(_, let key): futures[key]?.status = .pending
    case .cancelled(let keys): for key in keys { settle(key, .cancelled) }
    case .retired(let address, let succeeded): if succeeded { try dismiss(address) }
    case .forgotten: break
    }
  }

  private func settle(_ key: Key, _ status: Status) {
    if let future = futures[key], future.graph <= graphTakenIn { futures[key]?.status = status }
  }

  private func deliver(to address: String) throws {
    guard var messages = toWorker[address], let worker = workers[address] else { return }
    let message = messages.removeFirst()
    toWorker[address] = messages.isEmpty ? nil : messages
    try handle(message, worker)
  }

  private func handle(_ stimulus: WorkerStimulus, _ worker: SimulatedWorker) throws {
    for instruction in try worker.handle(stimulus, next()) {
      try carryOut(instruction, worker)
    }
    try worker.check()
  }

  private func carryOut(_ instruction: WorkerInstruction, _ worker: SimulatedWorker) throws {
    let address = worker.core.address
    switch instruction {
    case .execute(let key, let taskRunID):
      let inputs = try (graph.tasks[key]?.new.dependencies ?? []).map { input in
        guard let value = worker.held[input] else {
          throw Failure(description: "\(address): '\(key)' runs without '\(input)'")
        }
        return value
      }
      worker.jobs.append(.init(key: key, taskRunID: taskRunID, inputs: inputs))
    case .gather(let from, let keys): worker.transfers.append(.init(from: from, keys: keys))
    case .drop(let key): worker.held[key] = nil
    case .taskFinished(let message, _): say(.stimulus(.taskFinished(message)), from: address)
    case .taskErred(let message, _): say(.stimulus(.taskErred(message)), from: address)
    case .addKeys(let keys, _):
      say(.stimulus(.addKeys(worker: address, keys: keys)), from: address)
    case .requestRefreshWhoHas(let keys, _):
      say(.stimulus(.requestRefreshWhoHas(worker: address, keys: keys)), from: address)
    }
  }

  private func finish(_ job: SimulatedWorker.Job, _ worker: SimulatedWorker) throws {
    let (start, stop) = (Double(clock), Double(clock + 1))
    let left = failuresLeft[job.key]
    if left == nil || left! > 0 {
      failuresLeft[job.key] = left.map { $0 - 1 }
      try handle(
        .executeFailure(
          ExecuteFailure(
            key: job.key, taskRunID: job.taskRunID, exceptionType: "Broken",
            exceptionText: "'\(job.key)' is broken", tracebackText: "here", thread: 1,
            start: start, stop: stop)), worker)
    } else {
      let value = RandomGraph.value(of: job.key, job.inputs)
      worker.held[job.key] = value
      try handle(
        .executeSuccess(
          ExecuteSuccess(
            key: job.key, taskRunID: job.taskRunID, nbytes: Int64(value % 1000), type: "Int",
            typeName: "Int", thread: 1, start: start, stop: stop)), worker)
    }
  }

  /// A transfer reads at the other worker, later its answer arrives.
  private func advance(_ place: Int, _ worker: SimulatedWorker) throws {
    let transfer = worker.transfers[place]
    if let values = transfer.values {
      worker.transfers.remove(at: place)
      for (key, value) in values { worker.held[key] = value }
      try handle(
        .gatherSuccess(
          worker: transfer.from, nbytes: values.map { ($0.0, Int64($0.1 % 1000)) },
          start: Double(clock), stop: Double(clock + 1)), worker)
    } else if let peer = workers[transfer.from] {
      worker.transfers[place].values = transfer.keys.compactMap { key in
        peer.held[key].map { (key, $0) }
      }
    } else {
      worker.transfers.remove(at: place)
      try handle(.gatherFailure(worker: transfer.from), worker)
    }
  }

  private func next() -> (stimulusID: String, time: Int64) {
    stimuli += 1
    clock += 1
    if stimuli > 50_000 { return ("endless", clock) }
    return ("stimulus-\(stimuli)", clock)
  }

  // MARK: - The end

  private func checkOutcomes() throws {
    for (key, future) in futures {
      switch (expected[key], future.status) {
      case (.value(let value)?, .finished):
        let holders = scheduler.core.state.tasks[key]?.whoHas.map(\.address) ?? []
        guard !holders.isEmpty else { throw Failure(description: "nobody holds '\(key)'") }
        for address in holders where workers[address]?.held[key] != value {
          throw Failure(
            description: "'\(key)' on \(address) is \(workers[address]?.held[key] ?? -1)")
        }
      case (.failure?, .erred(let blame)) where expected[blame] == .failure(blame: blame): break
      case (_, .erred(let blame)) where wasKilled(blame): break
      case (_, .cancelled): break
      case (let outcome, let status):
        throw Failure(
          description: "'\(key)' is \(status), to be expected was "
            + "\(outcome.map { "\($0)" } ?? "nothing"):\n" + everything)
      }
    }
  }

  /// Too many workers have died with the task.
  private func wasKilled(_ key: Key) -> Bool {
    scheduler.core.state.tasks[key].map { $0.suspicious > scheduler.core.allowedFailures } ?? false
  }

  private func checkEmpty() throws {
    guard scheduler.core.state.tasks.isEmpty else {
      throw Failure(description: "the scheduler still has tasks:\n" + everything)
    }
    for (address, worker) in workers
    where !worker.core.state.tasks.isEmpty || !worker.held.isEmpty
      || !worker.core.executing.isEmpty || !worker.core.inFlight.isEmpty
    {
      throw Failure(description: "\(address) still has \(worker.held.keys):\n" + everything)
    }
  }

  private var everything: String {
    ([StateDump.text(scheduler.core.state)]
      + workers.map { "at \($0.key):\n" + StateDump.text($0.value.core.state) })
      .joined(separator: "\n")
  }
}

extension OrderedMap {
  fileprivate subscript(key: Key, default other: @autoclosure () -> Value) -> Value {
    get { self[key] ?? other() }
    set { self[key] = newValue }
  }
}

/// The scheduler of a simulation with its shadow, which only hears of events.
final class SimulatedScheduler {
  let core: SchedulerCore

  init(isSmall: Bool, allowedFailures: Int) {
    let shadow = SchedulerState()
    let comparison = Comparison()
    var live: SchedulerState!
    core = SchedulerCore(allowedFailures: allowedFailures) { event in
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
    let violations = Invariants.violations(of: core.state)
    if !violations.isEmpty {
      throw Simulation.Failure(
        description: "after \(stimulus):\n" + violations.joined(separator: "\n"))
    }
    // The whole of a large state takes long to compare.
    guard isSmall || next.time % 16 == 0 else { return instructions }
    guard StateDump.text(core.state) == StateDump.text(shadow) else {
      throw Simulation.Failure(description: "the replay differs after \(stimulus)")
    }
    return instructions
  }
}

/// A worker of a simulation with its shadow, its results and what it is busy with.
final class SimulatedWorker {
  struct Job {
    var key: Key
    var taskRunID: Int64
    var inputs: [Int]
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

  init(_ facts: WorkerFacts, isSmall: Bool) {
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
    // The whole of a large state takes long to compare.
    guard isSmall || next.time % 16 == 0 else { return instructions }
    guard StateDump.text(core.state) == StateDump.text(shadow) else {
      throw Simulation.Failure(description: "the replay differs after \(stimulus)")
    }
    return instructions
  }

  /// What is held are the results of the tasks in memory, no more and no less.
  func check() throws {
    let inMemory = Set(core.state.tasks.filter { $0.value.state == .memory }.map(\.key))
    guard inMemory == Set(held.keys) else {
      throw Simulation.Failure(
        description: "\(core.address) holds \(held.keys), in memory are \(inMemory)")
    }
  }
}

/// Collects what differs between a state and its shadow while events are being told.
final class Comparison {
  private var difference: String?

  func compare(_ live: String, _ shadow: String, _ event: Event) {
    if live != shadow, difference == nil {
      difference = "at \(event):\nlive   \(live)\nreplay \(shadow)"
    }
  }

  /// - Throws: `Simulation.Failure` when something differed.
  func check() throws {
    if let difference { throw Simulation.Failure(description: difference) }
  }
}
