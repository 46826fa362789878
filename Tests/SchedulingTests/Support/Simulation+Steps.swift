import TestSupport

@testable import Scheduling
@testable import TaskLogPlugin

/// The possible next steps of a simulation.
extension Simulation {
  /// False if no step is possible any more.
  func step() throws -> Bool {
    var steps: [() throws -> Void] = []
    for sender in toScheduler.keys { steps.append { try self.deliver(from: sender) } }
    for address in toWorker.keys { steps.append { try self.deliver(to: address) } }
    // If work is slow, the client has changed its mind before it is done.
    let works = steps.isEmpty || !isSlow || random.once(in: 16)
    for address in addresses where works {
      guard let worker = workers[address] else { continue }
      for place in worker.jobs.indices {
        if worker.jobs[place].willSecede {
          steps.append {
            worker.jobs[place].willSecede = false
            let key = worker.jobs[place].key
            try self.handle(.secede(key, computeSeconds: 1), worker)
          }
        }
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

  func deliver(from sender: String) throws {
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
    for instruction in try scheduler.handle(stimulus, next()) { try perform(instruction) }
  }

  func perform(_ instruction: SchedulerInstruction) throws {
    switch instruction {
    case .toWorker(let address, let stimulus, let id):
      if workers[address] != nil { toWorker[address, default: []].append((stimulus, id)) }
    case .keyInMemory(_, let key): settle(key, .finished)
    case .taskErred(_, let key, let blame, let exception, _):
      let outside = ["NoWorkerError", "NoValidWorkerError", "does not know task"]
      if outside.contains(where: { exception.contains($0) }) { excused.insert(blame) }
      settle(key, .erred(blame: blame))
    case .lostData(_, let key): futures[key]?.status = .pending
    case .cancelled(let keys): for key in keys { settle(key, .cancelled) }
    case .retired(let address, let succeeded): if succeeded { try dismiss(address) }
    }
  }

  func settle(_ key: Key, _ status: Status) {
    if let future = futures[key], future.graph <= graphTakenIn { futures[key]?.status = status }
  }

  func deliver(to address: String) throws {
    guard var messages = toWorker[address], let worker = workers[address] else { return }
    let message = messages.removeFirst()
    toWorker[address] = messages.isEmpty ? nil : messages
    try handle(message.0, worker, id: message.1)
  }

  func handle(
    _ stimulus: WorkerStimulus, _ worker: SimulatedWorker, id: String? = nil
  ) throws {
    var next = next()
    if let id { next.stimulusID = id }
    for instruction in try worker.handle(stimulus, next) {
      try perform(instruction, worker)
    }
    try worker.check()
  }

  func perform(_ instruction: WorkerInstruction, _ worker: SimulatedWorker) throws {
    let address = worker.core.address
    switch instruction {
    case .execute(let key, let taskRunID):
      let inputs = try (graph.tasks[key]?.new.dependencies ?? []).map { input in
        guard let value = worker.held[input] else {
          throw Failure(description: "\(address): '\(key)' runs without '\(input)'")
        }
        return value
      }
      worker.jobs.append(
        .init(
          key: key, taskRunID: taskRunID, inputs: inputs,
          willSecede: graph.tasks[key]?.secedes ?? false))
    case .gather(let from, let keys): worker.transfers.append(.init(from: from, keys: keys))
    case .drop(let key): worker.held[key] = nil
    case .taskFinished(let message, _): say(.stimulus(.taskFinished(message)), from: address)
    case .taskErred(let message, _): say(.stimulus(.taskErred(message)), from: address)
    case .addKeys(let keys, _):
      say(.stimulus(.addKeys(worker: address, keys: keys)), from: address)
    case .requestRefreshWhoHas(let keys, _):
      say(.stimulus(.requestRefreshWhoHas(worker: address, keys: keys)), from: address)
    case .reschedule(let key, _):
      say(.stimulus(.reschedule(worker: address, key: key)), from: address)
    case .longRunning(let message, _): say(.stimulus(.longRunning(message)), from: address)
    case .stealResponse(let key, let state, let id):
      say(
        .stimulus(.stealResponse(worker: address, key: key, state: state, stimulusID: id)),
        from: address)
    }
  }

  func finish(_ job: SimulatedWorker.Job, _ worker: SimulatedWorker) throws {
    let (start, stop) = (Double(clock), Double(clock + 1))
    if let left = reschedulesLeft[job.key], left > 0 {
      reschedulesLeft[job.key] = left - 1
      return try handle(.reschedule(job.key), worker)
    }
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

  /// A transfer reads from the other worker, later its answer arrives.
  func advance(_ place: Int, _ worker: SimulatedWorker) throws {
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

  func next() -> (stimulusID: String, time: Int64) {
    stimuli += 1
    clock += 1
    if stimuli > 50_000 { return ("endless", clock) }
    return ("stimulus-\(stimuli)", clock)
  }
}
