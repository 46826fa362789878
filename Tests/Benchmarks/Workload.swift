import TaskLogPlugin

/// Events such as an engine run makes: ten per task, one of them with the args of a finished task.
struct Workload: Sendable {
  /// With their source: 0 is the scheduler, 1 and 2 are workers.
  let events: [(source: Int, event: Event)]
  let tasks: Int

  static let sources = [
    Source(kind: .scheduler, id: "Scheduler-bench", address: "inproc://bench"),
    Source(kind: .worker, id: "Worker-0", address: "inproc://bench/0", name: 0),
    Source(kind: .worker, id: "Worker-1", address: "inproc://bench/1", name: 1),
  ]

  /// - Parameter firstTask: the number of the first task, for a workload that continues another.
  init(events count: Int, firstTask: Int = 0) {
    tasks = max(1, count / 10)
    var events: [(Int, Event)] = []
    events.reserveCapacity(tasks * 10)
    var time: Int64 = 1_750_000_000_000_000_000 + Int64(firstTask) * 10_000
    // Tasks overlap, as they do in a run: a thousand wait while others finish.
    let window = min(1000, tasks)
    var keys: [Key] = []
    for task in 0..<(tasks + window) {
      time += 10_000
      if task < tasks {
        let key = Key("work-5f3c9a1e", firstTask + task)
        keys.append(key)
        Self.begin(key, worker: task % 2, time, into: &events)
      }
      if task >= window {
        let finished = task - window
        Self.end(
          keys[finished], number: firstTask + finished, worker: finished % 2, time, into: &events)
      }
    }
    self.events = events
  }

  private static func begin(
    _ key: Key, worker: Int, _ time: Int64, into events: inout [(Int, Event)]
  ) {
    let address = sources[worker + 1].address
    func move(_ start: State, _ finish: State, _ worker: String? = nil) -> Event {
      Event(
        .transition, time: time, key: key, start: start, finish: finish,
        stimulusID: "update-graph-5f3c9a1e.1", worker: worker, taskRunID: worker == nil ? nil : 1)
    }
    events.append((0, move(.released, .waiting)))
    events.append((0, move(.waiting, .processing, address)))
    var compute = move(.released, .waiting)
    compute.taskRunID = 1
    events.append((worker + 1, compute))
    compute.start = .waiting
    compute.finish = .ready
    events.append((worker + 1, compute))
    compute.start = .ready
    compute.finish = .executing
    events.append((worker + 1, compute))
  }

  private static func end(
    _ key: Key, number: Int, worker: Int, _ time: Int64, into events: inout [(Int, Event)]
  ) {
    let address = sources[worker + 1].address
    let stimulus = "task-finished-w\(worker).\(number)"
    let start = Double(time) / 1e9
    let span = StartStop(action: "compute", start: start, stop: start + 0.001)
    events.append(
      (
        worker + 1,
        Event(
          .transition, time: time, key: key, start: .executing, finish: .memory,
          stimulusID: stimulus, taskRunID: 1,
          snapshot: .task(TaskSnapshot(nbytes: 1024, typeName: "Int", startStops: [span])))
      ))
    let args = Args(named: [
      .init("worker", .string(address)), .init("nbytes", 1024), .init("type", "Swift.Int"),
      .init("typename", "Int"), .init("thread", 140_012_345_678),
      .init("metadata", .dict([])), .init("status", "OK"), .init("startstops", [span.value]),
    ])
    events.append(
      (
        0,
        Event(
          .transition, time: time, key: key, start: .processing, finish: .memory,
          stimulusID: stimulus, worker: address, taskRunID: 1, args: args)
      ))
    let release = "client-releases-keys-5f3c9a1e.\(number / 100)"
    for (source, start, finish) in [
      (0, State.memory, State.released), (0, .released, .forgotten),
      (worker + 1, .memory, .released),
    ] {
      events.append(
        (
          source,
          Event(
            .transition, time: time, key: key, start: start, finish: finish, stimulusID: release)
        ))
    }
  }
}
